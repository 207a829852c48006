"""`/models`: the models that the operator configured."""

from fastapi import APIRouter

from api.dependencies import CatalogueDep, ProjectDep
from api.json_bodies import JsonRoute
from models.errors import ModelNotFound
from models.models import Model, ModelList

router = APIRouter(prefix="/models", tags=["Models"], route_class=JsonRoute)

# The wire requires a time, and no source has the creation time of a configured model.
CREATED = 1_686_935_002
OWNER = "holdfast"


@router.get("", operation_id="listModels")
async def list_models(catalogue: CatalogueDep, _: ProjectDep) -> ModelList:
    return ModelList(data=[_model(name) for name in catalogue.names()])


@router.get("/{model:path}", operation_id="retrieveModel")
async def retrieve_model(model: str, catalogue: CatalogueDep, _: ProjectDep) -> Model:
    """A name that the catalogue offers by wildcard, or because it is open, exists as much as a listed one."""
    if not catalogue.offers(model):
        raise ModelNotFound(model)
    return _model(model)


def _model(name: str) -> Model:
    return Model(id=name, created=CREATED, owned_by=OWNER)
