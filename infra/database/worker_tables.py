"""The table of workers that live. They belong to no project: every worker serves all."""

from sqlalchemy import BigInteger, Boolean, Table, false

from infra.database.columns import METADATA, counter, key, optional, required

WORKERS = Table(
    "workers",
    METADATA,
    # The identity under which Temporal knows it.
    key("id"),
    # What proves to other processes of the same machine that it has ended.
    required("machine"),
    required("pid", BigInteger),
    required("process_started", BigInteger),
    # Its life signs, of which it gives one each second.
    counter("life_signs"),
    # Proved by the lock of the data folder.
    required("is_gone", Boolean, server_default=false()),
    # The worker that takes over its activities.
    optional("taken_over_by"),
)
