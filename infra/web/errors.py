"""Why a page was not read. `str()` of each is fit for the model and for operators; nothing is retried by itself.

PageNotRead
├── PageRefused      by the rules of this server: another attempt would be refused as well
│   └── EnoughFetched  the crawl that wants it has fetched as much as it may
└── PageUnavailable  the site did not answer, or not with the page

SearchFailed         no search engine answered; `str()` of it is fit for the model
"""


class PageNotRead(Exception):
    pass


class PageRefused(PageNotRead):
    pass


class EnoughFetched(PageRefused):
    pass


class PageUnavailable(PageNotRead):
    def __init__(self, message: str, status: int | None = None) -> None:
        """`status` is that of the site's answer, if there was one."""
        super().__init__(message)
        self.status = status


class SearchFailed(Exception):
    pass
