"""The tables of pages that were collected from the web, and of the crawls that collect them."""

from sqlalchemy import JSON, BigInteger, Boolean, Index, Table, UniqueConstraint, text

from infra.database.columns import METADATA, counter, key, object_id, optional, partial, required, seq

IS_CRAWLED_NOW = text("status = 'in_progress'")

# One for each project. Its pages are in the vector index as those of a store, which is none of the user's.
WEB_COLLECTIONS = Table(
    "web_collections",
    METADATA,
    key("project_id"),
    required("store_id"),
    optional("description"),
    # As of a vector store.
    optional("embedding_model"),
    required("dimensions", BigInteger),
    required("created_at", BigInteger),
)

# `id` follows from the URL. Each time that a page is read anew it has a larger generation.
WEB_PAGES = Table(
    "web_pages",
    METADATA,
    seq(),
    required("id"),
    required("project_id"),
    required("store_id"),
    required("url"),
    required("host"),
    required("title"),
    required("depth", BigInteger),
    required("generation", BigInteger),
    required("chunks", BigInteger),
    UniqueConstraint("store_id", "id"),
    sqlite_autoincrement=True,
)

WEB_CRAWLS = Table(
    "web_crawls",
    METADATA,
    seq(),
    object_id(),
    required("project_id"),
    required("store_id"),
    required("status"),
    required("root_urls", JSON),
    required("constrain_to_root_domain", Boolean),
    required("max_depth", BigInteger),
    required("created_at", BigInteger),
    optional("ended_at", BigInteger),
    optional("error"),
    counter("urls"),
    counter("bytes"),
    # Milliseconds since the epoch: when the reconciler looks whether a workflow is at it.
    required("next_check_at", BigInteger),
    Index("web_crawls_by_project", "project_id", "seq"),
    partial("web_crawls_in_progress", "next_check_at", only=IS_CRAWLED_NOW),
    sqlite_autoincrement=True,
)

# What a crawl has read, and has still to read, in the order in which it came to know of them.
WEB_CRAWL_URLS = Table(
    "web_crawl_urls",
    METADATA,
    key("crawl_id"),
    # Follows from the URL.
    key("page_id"),
    required("project_id"),
    required("position", BigInteger),
    required("url"),
    # Without what follows the question mark.
    required("path"),
    required("depth", BigInteger),
    required("status"),
    optional("error"),
    Index("web_crawl_urls_by_status", "crawl_id", "status", "position"),
    Index("web_crawl_urls_by_position", "crawl_id", "position"),
    Index("web_crawl_urls_by_path", "crawl_id", "path"),
)
