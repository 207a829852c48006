"""All settings of the servers, with name and description. Temporal's own are the standard `TEMPORAL_*` variables.

The settings of `holdfast runs` and `holdfast files` are in cli/ops_client.py and cli/own_server.py.
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from infra.comma_lists import key_projects, listed
from models.files import MEBIBYTE, Purpose
from models.runs import MAX_RUN_EXPIRY_SECONDS
from models.web_hosts import PrivateHosts

LogFormat = Literal["auto", "console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
ALL = "*"
NO_SANDBOX = "none"
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})


class Settings(BaseSettings):
    """Read from `HOLDFAST_*` environment variables and `.env`, checked at start.

    Raises `pydantic.ValidationError` if a value is out of its range.
    """

    model_config = SettingsConfigDict(env_prefix="HOLDFAST_", env_file=".env", extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="Address the API listens on. Anything but loopback needs API keys.")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Names by which clients may call the API, comma-separated, beside loopback's and `HOLDFAST_HOST`; "
        "`*` is any. Empty: any where API keys are set, and otherwise no others.",
    )
    port: int = Field(8000, ge=1, le=65535, description="Port of the API.")
    workers: int = Field(
        default_factory=lambda: max(1, (os.cpu_count() or 1) // 2),
        ge=1,
        le=1000,
        description="Workers that `holdfast up` starts. Unset: one for every two cores.",
    )
    metrics_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="Port of the metrics of `holdfast worker`, on the API's address; further workers of `holdfast up` "
        "have the ports after it. Anything but loopback needs operators' keys. 0: not served.",
    )
    data_dir: Path = Field(Path(".holdfast"), description="Folder of the embedded database and Temporal server.")
    database_url: str = Field(
        "",
        description="`postgresql://user:password@host/name`. Empty: a SQLite file in the data folder.",
    )
    database_pool_size: int = Field(
        20,
        ge=1,
        le=1000,
        description="Connections to the database that one process opens at most. A worker has one more for life signs.",
    )
    database_statement_timeout_seconds: int = Field(
        15, ge=1, le=3600, description="How long Postgres may work on one statement before it fails."
    )
    event_stream_url: str = Field(
        "",
        description="URL of the Redis or Valkey that carries runs' events between processes, as in "
        "redis://localhost:6379/0. Empty: `holdfast up` starts one of its own.",
    )
    event_retention_seconds: int = Field(
        600, ge=1, le=604_800, description="How long events stay in the event stream after a run's last one."
    )
    object_store_url: str = Field(
        "",
        repr=False,
        description="Bucket of an S3 server for the bytes of files, `s3://KEY:SECRET@host:port/bucket?secure=true&"
        "region=us-east-1`; without key and secret, AWS's variables count. Empty: the folder `objects` of the data "
        "folder.",
    )
    vector_index_url: str = Field(
        "",
        repr=False,
        description="Weaviate that has the search index, `weaviate://KEY@host:8080?grpc_port=50051&secure=false`; "
        "without a key where it takes requests without one. Empty: the folder `vector_index` of the data folder.",
    )
    max_file_mb: int = Field(
        512, ge=1, le=8192, description="Size of a file that is uploaded in one request, in units of 1,048,576 bytes."
    )
    downloadable_purposes: str = Field(
        "assistants_output,batch,batch_output,evals,fine-tune,fine-tune-results,vision",
        description="Purposes of files whose content may be downloaded, comma-separated; `*` is all. By default those "
        "that OpenAI lets download, which leaves out `assistants` and `user_data`.",
    )
    keepalive_seconds: int = Field(
        15, ge=1, le=3600, description="After how long without events a stream sends a keepalive, for proxies."
    )
    models: Path | None = Field(
        None, description="YAML file in litellm's `model_list` form. Unset: any name in litellm's form is a model."
    )
    scripted_model: bool = Field(
        True, description="Offer `holdfast/scripted`, the built-in model for a first try and for tests."
    )
    embedding_model: str = Field(
        "local/minilm-int8",
        min_length=1,
        description="Model whose vectors new vector stores are searched by: `local/minilm-int8`, which needs no key "
        "and no network; `openai/…` at `OPENAI_BASE_URL` with `OPENAI_API_KEY`; `cohere/…`, `gemini/…` and others by "
        "litellm; a name in the models file; `none`: keywords alone.",
    )
    embedding_dimensions: int = Field(
        0,
        ge=0,
        le=16_000,
        description="Length of the vectors of a model at an endpoint. 0: the model's own, where it is known.",
    )
    embedding_window_tokens: int = Field(
        4096,
        ge=32,
        le=8191,
        description="Most tokens of a text that a model at an endpoint takes; longer chunks have several vectors.",
    )
    embedding_threads: int = Field(
        0, ge=0, le=256, description="Processors that `local/minilm-int8` may use. 0: half of the machine's."
    )
    search_cache_mb: int = Field(
        512,
        ge=1,
        le=1_000_000,
        description="How much of the vectors of the embedded search index a process keeps in memory, in MB.",
    )
    web_search: str = Field(
        "ddgs",
        pattern=r"^(ddgs|off|brave|tavily|searxng\+https?://.+)$",
        description="Search engine of `web_retrieval`: `ddgs`, `searxng+http://host:8080`, `brave`, `tavily` or `off`.",
    )
    web_search_key: str = Field("", repr=False, description="Key of the search engine `brave` or `tavily`.")
    web_allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Private hosts of pages, comma-separated: `wiki.example`, `wiki.example:8080` or `10.1.0.0/16`.",
    )
    web_crawl_pages: int = Field(300, ge=1, le=10_000, description="URLs that one crawl reads at most.")
    web_crawl_mb: int = Field(100, ge=1, le=10_000, description="What one crawl fetches at most, in MB.")
    web_crawl_seconds: int = Field(540, ge=1, le=14_400, description="Time of one crawl at most. SDKs wait for 600 s.")
    api_keys: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict,
        repr=False,
        description="`key=project` pairs, comma-separated. Empty: any key maps to the project `default`.",
    )
    operator_keys: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        repr=False,
        description="Keys that open `/metrics` and, under `/ops`, the runs and failed files of all projects, "
        "comma-separated. Empty: no key does where API keys are set.",
    )
    cors_origins: str = Field(
        "",
        description="Origins whose web pages may call the API, comma-separated; `*` is all of them. Empty: all where "
        "API keys are set, as a page needs one, and otherwise none.",
    )
    require_beta_header: bool = Field(
        False, description="Refuse requests without `OpenAI-Beta: assistants=…`, as OpenAI did. Off: they mean v2."
    )
    temporal_port: int = Field(7233, ge=1, le=65535, description="Port of the embedded Temporal server.")
    temporal_ui_port: int = Field(8233, ge=1, le=65535, description="Port of the embedded Temporal UI.")
    temporal_ui_url: str = Field(
        "", description="Address of the Temporal UI, for links to it. Empty: the embedded one's, where that is used."
    )
    task_queue: str = Field("holdfast", min_length=1, description="Temporal task queue of the workers.")
    build_id: str = Field(
        "", max_length=255, description="Version of this worker, for deploys side by side. Empty: it takes every run."
    )
    run_expiry_seconds: int = Field(
        600,
        ge=1,
        le=MAX_RUN_EXPIRY_SECONDS,
        description="How long a run may take, from its creation, before it expires.",
    )
    poll_after_ms: int = Field(
        50,
        ge=1,
        le=60_000,
        description="Wait between polls that responses ask of the SDKs' poll helpers, in milliseconds.",
    )
    rapid_polls_held_for_ms: int = Field(
        1000,
        ge=0,
        le=1000,
        description="How long a poll is held at most that comes within 100 ms of the same answer. 0: not at all.",
    )
    sweep_interval_seconds: int = Field(
        10, ge=1, le=3600, description="How often lost commands (start, submit, cancel, retry) are found and repeated."
    )
    ingested_files_at_a_time: int = Field(
        2, ge=1, le=100, description="Files that one worker parses and embeds at a time, for vector stores."
    )
    max_concurrent_activities: int = Field(
        200, ge=1, le=10_000, description="Model calls and tool calls that one worker makes at a time."
    )
    max_turns: int = Field(
        50,
        ge=1,
        le=1000,
        description="Turns of the model in one run: a run that calls tools in the last one ends as `incomplete`.",
    )

    sandbox_url: str = Field(
        "",
        repr=False,
        description="Where the code of `code_interpreter` runs: `http://host:port` of `holdfast sandbox`, or "
        "`unix:///path` of its socket. A host name with several addresses stands for several sandboxes. `none`: code "
        "does not run. Empty: `holdfast up` starts a sandbox of its own.",
    )
    sandbox_token: str = Field(
        "",
        repr=False,
        description="Secret that `holdfast sandbox` and what calls it share. It serves a port only with one.",
    )
    sandbox_listen: str = Field(
        "127.0.0.1:8290",
        pattern=r"^(unix:///.+|.+:\d{1,5})$",
        description="Where `holdfast sandbox` serves: `host:port` or `unix:///path`.",
    )
    sandbox_dir: Path | None = Field(
        None,
        description="Folder for the files of sessions while they live. Unset: the system's folder for temporary files.",
    )
    sandbox_memory_mb: int = Field(
        1024, ge=128, le=1_000_000, description="Memory of one session, all its processes together, in MB."
    )
    sandbox_disk_mb: int = Field(
        256, ge=1, le=1_000_000, description="Files of one session in `/mnt/data`, all together, in MB."
    )
    sandbox_files: int = Field(2000, ge=1, le=100_000, description="Files and folders of one session.")
    sandbox_processes: int = Field(64, ge=4, le=10_000, description="Processes and threads of one session.")
    sandbox_cell_seconds: int = Field(60, ge=1, le=3600, description="How long one call of the tool may run.")
    sandbox_idle_seconds: int = Field(
        1800, ge=1, le=604_800, description="How long a session keeps its variables after its last call."
    )
    sandbox_lifetime_seconds: int = Field(
        3600, ge=1, le=604_800, description="How long a session keeps its variables in all."
    )
    sandbox_sessions: int = Field(
        64,
        ge=1,
        le=10_000,
        description="Sessions that one sandbox has at a time. Beyond them, the one that was idle longest ends.",
    )
    sandbox_packages: str = Field(
        "",
        description="Packages for the code beside those of requirements-sandbox.lock, separated by spaces, as in "
        "`polars==1.35.2 networkx`.",
    )

    sandbox_packages_dir: Path | None = Field(
        None,
        description="Folder of the installed packages. Unset: `~/.cache/holdfast`, or `/var/cache/holdfast` for root.",
    )

    log_level: LogLevel = Field("info", description="Least level of Holdfast's own log lines: `debug` to `error`.")
    log_format: LogFormat = Field(
        "auto", description="`json` or `console`. `auto`: text on a terminal, JSON lines where something else reads."
    )

    @field_validator("api_keys", mode="before")
    @classmethod
    def _parse_api_keys(cls, value: object) -> object:
        return key_projects(value) if isinstance(value, str) else value

    @field_validator("operator_keys", "allowed_hosts", "web_allowed_hosts", mode="before")
    @classmethod
    def _parse_list(cls, value: object) -> object:
        return tuple(listed(value)) if isinstance(value, str) else value

    @field_validator("models", "sandbox_dir", "sandbox_packages_dir", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return value or None

    @field_validator("downloadable_purposes")
    @classmethod
    def _known_purposes(cls, value: str) -> str:
        if unknown := sorted({name for name in listed(value) if name != ALL} - set(Purpose)):
            raise ValueError(f"there is no purpose {unknown[0]}")
        return value

    @field_validator("web_allowed_hosts")
    @classmethod
    def _are_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        PrivateHosts.parse(value)
        return value

    @model_validator(mode="after")
    def _search_engine_has_its_key(self) -> "Settings":
        if self.web_search in ("brave", "tavily") and not self.web_search_key:
            raise ValueError(f"HOLDFAST_WEB_SEARCH={self.web_search} needs HOLDFAST_WEB_SEARCH_KEY")
        return self

    @model_validator(mode="after")
    def _a_key_has_one_role(self) -> "Settings":
        if not self.api_keys.keys().isdisjoint(self.operator_keys):
            raise ValueError("a key is in both HOLDFAST_API_KEYS and HOLDFAST_OPERATOR_KEYS")
        return self

    @model_validator(mode="after")
    def _task_queue_names_a_deployment(self) -> "Settings":
        if self.build_id and {".", ":"} & set(self.task_queue):
            raise ValueError(f"HOLDFAST_TASK_QUEUE={self.task_queue} may have no . or : where HOLDFAST_BUILD_ID is set")
        return self

    @property
    def database(self) -> str:
        """The effective database URL."""
        return self.database_url or f"sqlite:///{self.data_dir / 'holdfast.db'}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the API."""
        return self.host in LOOPBACK_HOSTS

    @property
    def vector_index_dir(self) -> Path:
        """The folder of the embedded search index."""
        return self.data_dir / "vector_index"

    @property
    def allowed_origins(self) -> list[str]:
        """The origins whose web pages may call the API: `["*"]` for all."""
        return listed(self.cors_origins) or ([ALL] if self.api_keys else [])

    @property
    def object_folder(self) -> Path:
        """Where the bytes of files are without an object store's URL."""
        return self.data_dir / "objects"

    @property
    def max_file_bytes(self) -> int:
        return self.max_file_mb * MEBIBYTE

    def may_download(self, purpose: Purpose) -> bool:
        named = listed(self.downloadable_purposes)
        return purpose in named or ALL in named

    @property
    def event_retention(self) -> timedelta:
        return timedelta(seconds=self.event_retention_seconds)

    @property
    def keepalive(self) -> timedelta:
        return timedelta(seconds=self.keepalive_seconds)

    @property
    def run_expiry(self) -> timedelta:
        return timedelta(seconds=self.run_expiry_seconds)
