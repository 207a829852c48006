"""The connection to Temporal, and the registration of search attributes."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client, Interceptor
from temporalio.common import SearchAttributeKey
from temporalio.converter import DataConverter
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.service import RPCError

from infra.errors import ConnectionFailed
from infra.settings import Settings
from infra.temporal_failures import FailuresWithoutFrames
from infra.temporal_payloads import SharedPayloadConverter
from models.ingestion import FILE_ATTRIBUTE, VECTOR_STORE_ATTRIBUTE
from models.turns import RUN_STATUS_ATTRIBUTE

ASSISTANT_ID = SearchAttributeKey.for_keyword("AssistantId")
THREAD_ID = SearchAttributeKey.for_keyword("ThreadId")
RUN_STATUS = SearchAttributeKey.for_keyword(RUN_STATUS_ATTRIBUTE)
MODEL = SearchAttributeKey.for_keyword("Model")
VECTOR_STORE_ID = SearchAttributeKey.for_keyword(VECTOR_STORE_ATTRIBUTE)
FILE_ID = SearchAttributeKey.for_keyword(FILE_ATTRIBUTE)
SEARCH_ATTRIBUTE_NAMES: tuple[str, ...] = tuple(
    key.name for key in (ASSISTANT_ID, THREAD_ID, RUN_STATUS, MODEL, VECTOR_STORE_ID, FILE_ID)
)

DATA_CONVERTER = DataConverter(
    payload_converter_class=SharedPayloadConverter, failure_converter_class=FailuresWithoutFrames
)

CONNECT_TIMEOUT = timedelta(seconds=10)
TIMED_OUT = f"no answer within {CONNECT_TIMEOUT.seconds} s"
HEALTH_TIMEOUT = timedelta(seconds=2)


def uses_embedded_server() -> bool:
    """Whether `holdfast up` starts its own Temporal: no `TEMPORAL_ADDRESS` and no profile names another."""
    return "target_host" not in connect_config()


def ui_url(settings: Settings) -> str | None:
    """The address of the Temporal UI, None if it is unknown."""
    if settings.temporal_ui_url or not uses_embedded_server():
        return settings.temporal_ui_url.rstrip("/") or None
    return f"http://127.0.0.1:{settings.temporal_ui_port}"


def workflows_url(settings: Settings, namespace: str) -> str | None:
    """The address of a namespace's workflows in the Temporal UI, None if it is unknown."""
    ui = ui_url(settings)
    return ui and f"{ui}/namespaces/{namespace}/workflows"


def connect_config() -> ClientConnectConfig:
    """The configuration of `TEMPORAL_*` and the file that they name. Raises `ConnectionFailed` if it is unreadable."""
    try:
        return ClientConfig.load_client_connect_config()
    except (RuntimeError, ValueError) as error:
        raise ConnectionFailed(f"{error}. Check TEMPORAL_PROFILE and TEMPORAL_CONFIG_FILE.") from error


async def connect_temporal(settings: Settings, interceptors: Sequence[Interceptor] = ()) -> Client:
    """Connect to the server that `TEMPORAL_*` names, else to the embedded one.

    `interceptors` apply to the client's calls, and to those of workers that use it.

    Raises `ConnectionFailed` if the server does not answer within `CONNECT_TIMEOUT`, or refuses.
    """
    config = connect_config()
    config.setdefault("target_host", f"127.0.0.1:{settings.temporal_port}")
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT.total_seconds()):
            client = await Client.connect(**config, data_converter=DATA_CONVERTER, interceptors=interceptors)
            await register_search_attributes(client)
            return client
    except RPCError as error:
        raise ConnectionFailed(
            f"Temporal at {config['target_host']} refuses: {error.message}. Check TEMPORAL_NAMESPACE, its key's "
            f"permissions, and that its search attributes {', '.join(SEARCH_ATTRIBUTE_NAMES)} are Keywords."
        ) from error
    except (RuntimeError, TimeoutError) as error:
        raise ConnectionFailed(
            f"Temporal at {config['target_host']} does not answer: {str(error) or TIMED_OUT}. "
            "Start it or check TEMPORAL_ADDRESS."
        ) from error


async def register_search_attributes(client: Client) -> None:
    """Add the search attributes of the workflows that the namespace lacks."""
    operator = client.operator_service
    known = await operator.list_search_attributes(ListSearchAttributesRequest(namespace=client.namespace))
    missing = [name for name in SEARCH_ATTRIBUTE_NAMES if name not in known.custom_attributes]
    if missing:
        keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
        await operator.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=dict.fromkeys(missing, keyword))
        )


async def namespace_id(client: Client) -> str:
    """The id of the client's namespace, which no other Temporal has. Raises `ConnectionFailed`."""
    request = DescribeNamespaceRequest(namespace=client.namespace)
    try:
        namespace = await client.workflow_service.describe_namespace(request, retry=True)
    except RPCError as error:
        raise ConnectionFailed(
            f"Temporal does not describe the namespace {client.namespace}: {error.message}. Check TEMPORAL_NAMESPACE "
            "and its key's permissions."
        ) from error
    return namespace.namespace_info.id


async def check_temporal(client: Client) -> None:
    """Return if Temporal serves; raises `RPCError` or `TimeoutError` if it does not."""
    async with asyncio.timeout(HEALTH_TIMEOUT.total_seconds()):
        await client.service_client.check_health(timeout=HEALTH_TIMEOUT)
