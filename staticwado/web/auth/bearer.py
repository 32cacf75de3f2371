"""Bearer tokens (RFC 6750): those of an OpenID Connect issuer, and those that do not change.

One rule: what is remembered of a token ends with it, and after a minute at the latest.
"""

import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from staticwado.errors import Unauthenticated
from staticwado.web.auth.identity import Identity
from staticwado.web.auth.issuer import Issuer
from staticwado.web.auth.jose import LONGEST_TOKEN, check_times, read_claims, read_head
from staticwado.web.auth.options import OidcOptions, TokenOptions
from staticwado.web.auth.rules import Rule, identify, read_studies

_MOST_KEPT = 4096
_LONGEST_KEPT = 60.0


class StaticTokens:
    """The tokens of the configuration."""

    def __init__(self, options: Iterable[TokenOptions]) -> None:
        self._known: list[tuple[bytes, Identity]] = []
        for one in options:
            scope = read_studies(f"auth.tokens: {one.name}", one.studies)
            identity = Identity(f"token:{one.name}", dict.fromkeys(one.rights, scope))
            self._known.append((bytes.fromhex(one.sha256), identity))

    def find(self, digest: bytes) -> Identity | None:
        """Whose token has this SHA-256; every token is compared, whichever fits."""
        found = None
        for known, identity in self._known:
            if hmac.compare_digest(known, digest):
                found = identity
        return found


class OidcTokens:
    """The tokens of one issuer."""

    def __init__(
        self,
        options: OidcOptions,
        rules: tuple[Rule, ...],
        issuer: Issuer | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._options = options
        self._rules = rules
        self._issuer = issuer or Issuer(options)
        self._now = now

    async def read(self, token: str) -> tuple[Identity, float]:
        """Whose token it is, and when it ends (seconds since 1970).

        Raises Unauthenticated, and IssuerUnavailable if that cannot be found out.
        """
        if token.count(".") != 2 and self._options.client_secret is not None:
            claims = await self._asked(token)
        else:
            head = read_head(token, self._options.algorithms)
            key = await self._issuer.find(head)
            if key is None:
                raise Unauthenticated("the token is signed with a key that the issuer does not have")
            claims = read_claims(token, head, key)
            if claims.get("iss") != self._options.url:
                raise Unauthenticated("the token is of another issuer")
            self._check_audience(claims)
        end = check_times(claims, self._now(), self._options.leeway)
        self._check_party(claims)
        return identify(f"oidc:{self._subject(claims)}", claims, self._rules), end

    async def _asked(self, token: str) -> Mapping[str, Any]:
        """The claims of a token that only the issuer can read (RFC 7662 2.2)."""
        if len(token) > LONGEST_TOKEN:
            raise Unauthenticated("the token is too long")
        claims = await self._issuer.ask(token)
        if claims.get("active") is not True:
            raise Unauthenticated("the token is not valid, or not any more")
        if claims.get("iss", self._options.url) != self._options.url:
            raise Unauthenticated("the token is of another issuer")
        # Without `aud`, whom it is for is who got it.
        self._check_audience({**claims, "aud": claims.get("aud", claims.get("client_id"))})
        return {"exp": self._now() + _LONGEST_KEPT, **claims}

    def _check_audience(self, claims: Mapping[str, Any]) -> None:
        """RFC 7519 4.1.3."""
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        if not any(isinstance(one, str) and one in self._options.audiences for one in named):
            raise Unauthenticated("the token is not for this service")

    def _check_party(self, claims: Mapping[str, Any]) -> None:
        """To which client it was given: `azp` (OpenID Connect Core 2) or `client_id` (RFC 9068 2.2)."""
        if self._options.parties and claims.get("azp", claims.get("client_id")) not in self._options.parties:
            raise Unauthenticated("the token was given to a client that is not known here")

    @staticmethod
    def _subject(claims: Mapping[str, Any]) -> str:
        subject = claims.get("sub")
        if not isinstance(subject, str) or not subject:
            raise Unauthenticated("the token says not who has it")
        return subject


class Bearer:
    """Tokens of either kind, and whose they were found to be."""

    def __init__(
        self, static: StaticTokens, oidc: OidcTokens | None, now: Callable[[], float] = time.time
    ) -> None:
        self._static = static
        self._oidc = oidc
        self._now = now
        self._kept: OrderedDict[bytes, tuple[Identity, float]] = OrderedDict()

    async def identify(self, token: str) -> Identity:
        """Whose token it is. Raises Unauthenticated, IssuerUnavailable."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        identity = self._static.find(digest)
        if identity is not None:
            return identity
        if self._oidc is None:
            raise Unauthenticated("the token is not known")
        kept = self._kept.get(digest)
        if kept is not None and self._now() < kept[1]:
            return kept[0]
        identity, end = await self._oidc.read(token)
        self._kept[digest] = identity, min(end, self._now() + _LONGEST_KEPT)
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return identity
