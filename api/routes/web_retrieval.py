"""`/ops/web_retrieval`: collects pages for a project's web retrievals, as the OpenGPTs assistants-api does."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request

from api.dependencies import IdempotencyDep, ProjectDep, ResourcesDep
from api.json_bodies import JsonRoute
from api.web_crawl_commands import WebCrawlCommands
from infra.database import web_collections, web_crawls
from infra.resources import Resources
from infra.temporal import workflows_url
from models.ids import CrawlId
from models.web_crawls import CrawlAnswer, CrawlRequest, ForgottenCollection, WebCollection, WebCrawl, WebCrawlCourse

SHOWN_CRAWLS = 20

router = APIRouter(prefix="/ops/web_retrieval", tags=["Operations"], route_class=JsonRoute)


async def _commands(request: Request) -> WebCrawlCommands:
    commands: WebCrawlCommands = request.app.state.web_crawl_commands
    return commands


CommandsDep = Annotated[WebCrawlCommands, Depends(_commands)]


@router.post("", operation_id="crawlWebRetrieval")
async def crawl(
    project: ProjectDep, idempotency: IdempotencyDep, commands: CommandsDep, body: CrawlRequest
) -> CrawlAnswer:
    """Read pages from their roots on, level by level, and make them searchable for the project's web retrievals.

    `description` describes them to models.
    """
    return await commands.crawl(idempotency, project, body)


@router.get("", operation_id="getWebRetrieval")
async def retrieve_collection(project: ProjectDep, resources: ResourcesDep) -> WebCollection:
    """The project's collected pages, and its newest crawls."""
    collection = await resources.database.read(web_collections.find, project)
    crawls = await resources.database.read(web_crawls.newest, project, SHOWN_CRAWLS)
    pages = await resources.database.read(web_collections.count_pages, collection.store_id) if collection else 0
    return WebCollection(
        description=collection.description if collection else None,
        pages=pages,
        crawls=[_shown(each, resources) for each in crawls],
    )


@router.get("/{crawl_id}", operation_id="getWebCrawl")
async def retrieve_crawl(crawl_id: CrawlId, project: ProjectDep, resources: ResourcesDep) -> WebCrawlCourse:
    """A crawl with its URLs, while it runs and afterwards."""
    crawl = await resources.database.read(web_crawls.load, project, crawl_id)
    infos = await resources.database.read(web_crawls.infos, crawl_id)
    return WebCrawlCourse(**dict(_shown(crawl, resources)), crawl_infos=infos)


@router.delete("", operation_id="forgetWebRetrieval")
async def forget_collection(project: ProjectDep, commands: CommandsDep) -> ForgottenCollection:
    """Forget the project's collected pages, their description and their crawls."""
    return ForgottenCollection(message=await commands.forget(project))


def _shown(crawl: WebCrawl, resources: Resources) -> WebCrawl:
    workflows = workflows_url(resources.settings, resources.temporal.namespace)
    return crawl.model_copy(update={"temporal_url": workflows and f"{workflows}/{quote(crawl.id, safe='')}"})
