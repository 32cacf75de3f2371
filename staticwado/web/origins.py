"""Who may read the answers: cross-origin headers and preflights (the Fetch standard, CORS protocol).

One rule: what the options allow is decided here; no answer sets such a header by itself.
"""

from collections.abc import Collection, Mapping

from multidict import CIMultiDict

from staticwado.web.answer import Answer

METHODS = "GET, HEAD, OPTIONS"
EXPOSED = (
    "Content-Type, Content-Length, Content-Location, Content-Range, Accept-Ranges, ETag, Warning, Link, "
    "X-Request-Id"
)
_ASKED = "Access-Control-Request-Method"
_LONGEST_LIST = 4096
"""Bytes of Access-Control-Request-Headers that are given back."""


class Origins:
    """The origins whose pages may read answers; `*` is any."""

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = frozenset(allowed)
        self._any = "*" in self._allowed

    def common_headers(self) -> CIMultiDict[str]:
        """Headers of every answer: cross-origin isolation for the viewer, CORS, and no guessing of types."""
        headers = CIMultiDict(
            {
                "Server": "staticwado",
                "X-Content-Type-Options": "nosniff",
                "Cross-Origin-Opener-Policy": "same-origin",
                "Cross-Origin-Embedder-Policy": "require-corp",
                "Cross-Origin-Resource-Policy": "cross-origin" if self._any else "same-site",
                "Referrer-Policy": "same-origin",
            }
        )
        if self._any:
            headers["Access-Control-Allow-Origin"] = "*"
            headers["Access-Control-Expose-Headers"] = EXPOSED
        else:
            headers["Vary"] = "Origin"
        return headers

    def headers_for(self, origin: str | None, headers: CIMultiDict[str]) -> CIMultiDict[str]:
        """`headers` for a page of `origin`, where not every origin may read; the argument is not changed."""
        if self._any or origin is None or origin not in self._allowed:
            return headers
        headers = headers.copy()
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = EXPOSED
        return headers


def is_preflight(headers: Mapping[str, str]) -> bool:
    """Whether an OPTIONS request is a browser's question and not a person's."""
    return _ASKED in headers


def options_answer(headers: Mapping[str, str], methods: str = METHODS) -> Answer:
    """The answer to OPTIONS where there is nothing to describe: a preflight, or what methods there are."""
    made = {"Allow": methods}
    if is_preflight(headers):
        made["Access-Control-Allow-Methods"] = methods
        made["Access-Control-Max-Age"] = "86400"
        asked = headers.get("Access-Control-Request-Headers")
        if asked is not None and len(asked) <= _LONGEST_LIST:
            made["Access-Control-Allow-Headers"] = asked
    return Answer("text/plain", b"", 204, vary="Access-Control-Request-Headers", headers=made)
