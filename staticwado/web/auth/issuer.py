"""The issuer's public keys: fetched, kept, and fetched again when they change.

One rule: a stranger's token makes at most one fetch a minute, and keys that were right stay while the issuer
is away.
"""

import asyncio
import logging
import os
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus, urlsplit

import aiohttp
import orjson

from staticwado.errors import IssuerUnavailable
from staticwado.web.auth.jose import Head, Key, read_keys, suitable
from staticwado.web.auth.options import OidcOptions

log = logging.getLogger("staticwado.web")

DISCOVERY = "/.well-known/openid-configuration"
_LARGEST = 1 << 20
"""Bytes of a document."""
_PATIENCE = aiohttp.ClientTimeout(total=5)
_FRESH = 3600.0
"""Seconds after which keys are fetched again, beside the requests."""
_PAUSE = 60.0
"""Seconds between fetches because of a key that is not known."""
_PAUSE_AFTER_FAILURE = 5.0


class Issuer:
    """The keys of one issuer, and what its discovery document says."""

    def __init__(self, options: OidcOptions, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self._clock = clock
        self._keys: tuple[Key, ...] = ()
        self._fetched: float | None = None
        """When keys were fetched last."""
        self._tried: float | None = None
        self._failure: str = ""
        self._task: asyncio.Task[None] | None = None
        self._document: Mapping[str, Any] = {}
        self._stamp: tuple[int, int] | None = None

    async def find(self, head: Head) -> Key | None:
        """The key for a token; None if the issuer has no such key.

        Raises IssuerUnavailable if no keys are known and none can be had.
        """
        if self._options.jwks_file is not None:
            self._read_file(str(self._options.jwks_file))
            return suitable(head, self._keys)
        found = suitable(head, self._keys)
        if found is not None:
            if self._clock() - (self._fetched or 0.0) > _FRESH and self._may_try():
                self._begin()
            return found
        if self._may_try():
            self._begin()
        if self._task is not None:
            # Shielded: a client that goes away must not end a fetch that others wait for.
            await asyncio.shield(self._task)
        if self._fetched is None:
            raise IssuerUnavailable(f"the issuer of logins cannot be reached: {self._failure}")
        return suitable(head, self._keys)

    async def ask(self, token: str) -> Mapping[str, Any]:
        """What the issuer says of a token that is no JWT (RFC 7662). Raises IssuerUnavailable."""
        if not self._document:
            if self._may_try():
                self._begin()
            if self._task is not None:
                await asyncio.shield(self._task)
        place = self._document.get("introspection_endpoint")
        if not isinstance(place, str) or not self._options.is_fetchable(place):
            raise IssuerUnavailable("the issuer of logins answers no questions about tokens")
        # RFC 6749 2.3.1: both are encoded as in a form first.
        pair = f"{quote_plus(self._options.client_id or '')}:{quote_plus(self._options.client_secret or '')}"
        login = "Basic " + b64encode(pair.encode()).decode()
        try:
            return await _fetch(place, login, {"token": token, "token_type_hint": "access_token"})
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise IssuerUnavailable(f"the issuer of logins cannot be asked: {_said(error)}") from error

    def _may_try(self) -> bool:
        if self._task is not None:
            return False
        pause = _PAUSE_AFTER_FAILURE if self._fetched is None else _PAUSE
        return self._tried is None or self._clock() - self._tried >= pause

    def _begin(self) -> None:
        self._tried = self._clock()
        self._task = asyncio.get_running_loop().create_task(self._refresh())

    async def _refresh(self) -> None:
        try:
            document = await self._discovered()
            place = document["jwks_uri"]
            keys = read_keys(orjson.dumps(await _fetch(place)), self._options.algorithms)
            if not keys:
                raise ValueError("there is no key in it that can be used")
            self._keys, self._document, self._fetched = keys, document, self._clock()
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
            self._failure = _said(error)
            log.warning("keys of %s could not be fetched: %s", self._options.url, self._failure)
        finally:
            self._task = None

    async def _discovered(self) -> Mapping[str, Any]:
        """The discovery document (OpenID Connect Discovery 4). Raises ValueError."""
        issuer = self._options.url
        document = await _fetch(issuer.rstrip("/") + DISCOVERY)
        if document.get("issuer") != issuer:
            raise ValueError(f"it says that it is {str(document.get('issuer'))[:200]!r} and not {issuer!r}")
        place = document.get("jwks_uri")
        if not isinstance(place, str) or not self._options.is_fetchable(place):
            raise ValueError("it names no place of its keys that may be asked")
        return document

    def _read_file(self, path: str) -> None:
        """Read the file again if it has changed; what is no key set leaves the keys as they were."""
        try:
            found = os.stat(path)
            if self._stamp == (found.st_size, found.st_mtime_ns):
                return
            with open(path, "rb") as file:
                self._keys = read_keys(file.read(_LARGEST), self._options.algorithms)
            self._stamp = (found.st_size, found.st_mtime_ns)
        except (OSError, ValueError) as error:
            if not self._keys:
                raise IssuerUnavailable("the keys of the issuer of logins cannot be read") from error
            log.warning("%s could not be read: %s", path, _said(error))


async def _fetch(
    place: str, login: str | None = None, form: Mapping[str, str] | None = None
) -> Mapping[str, Any]:
    """A JSON object; redirects are not followed. Raises ValueError, ClientError, TimeoutError."""
    async with (
        aiohttp.ClientSession(timeout=_PATIENCE, trust_env=True) as session,
        session.request(
            "GET" if form is None else "POST",
            place,
            data=form,
            allow_redirects=False,
            headers={"Accept": "application/json"} | ({"Authorization": login} if login else {}),
        ) as reply,
    ):
        if reply.status != 200:
            raise ValueError(f"{urlsplit(place).netloc} answered with {reply.status}")
        body = bytearray()
        async for chunk in reply.content.iter_chunked(1 << 16):
            body += chunk
            if len(body) > _LARGEST:
                raise ValueError("it is too long")
    found = orjson.loads(bytes(body))
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    return found


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
