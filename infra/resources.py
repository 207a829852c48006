"""The one place where implementations are chosen: opens what the settings name, yields it, closes it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from temporalio.client import Client

from infra.database.engine import Database, open_database
from infra.database.migrations import check_migrated
from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.litellm_model import LitellmLanguageModel
from infra.language_model.scripted import SCRIPTED_MODEL, ScriptedLanguageModel
from infra.language_model.selection import LanguageModelByName
from infra.ports import LanguageModel
from infra.settings import Settings
from infra.temporal import connect_temporal


@dataclass(frozen=True)
class Resources:
    settings: Settings
    database: Database
    temporal: Client
    language_model: LanguageModel
    catalogue: ModelCatalogue


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncIterator[Resources]:
    """Open the database, Temporal and the models that `settings` name.

    Raises `ConnectionFailed` with one clear line where one of them does not answer or was not migrated,
    `InvalidCatalogue` where the models file cannot be used.
    """
    catalogue = ModelCatalogue.load(settings.models)
    language_model = LanguageModelByName(
        named={SCRIPTED_MODEL: ScriptedLanguageModel()}, otherwise=LitellmLanguageModel(catalogue)
    )
    async with open_database(settings.database) as database:
        temporal = await connect_temporal(settings)
        await check_migrated(database)
        yield Resources(settings, database, temporal, language_model, catalogue)
