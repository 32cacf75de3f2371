"""The section `auth` of the configuration: where logins come from, and what they allow.

One rule: what could be understood as "everything" by mistake is an error: no rights, an empty list, no
audience.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from staticwado.dicom.uid import is_uid
from staticwado.web.auth.identity import Right

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Signatures with a public key (RFC 7518 3.1): never `none`, never one with a shared secret."""
Studies = Literal["all"] | tuple[str, ...] | Mapping[str, str]
"""All, or Study Instance UIDs, or values that attributes of the study must have, as in a search."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class OidcOptions:
    """The OpenID Connect issuer whose bearer tokens are believed."""

    issuer: str | None = None
    """Its URL, as it stands in `iss`."""
    server_url: str | None = None
    """With `realm`, in place of `issuer`: where Keycloak is."""
    realm: str | None = None
    """Keycloak's realm: the issuer is `serverUrl/realms/realm`."""
    audience: tuple[str, ...] = ()
    """What `aud` must hold one of; without it, `clientId`."""
    client_id: str | None = None
    """The viewer's client at the issuer; without it, the viewer has no login."""
    client_secret: str | None = None
    """For tokens that are no JWT: the server asks the issuer about them (RFC 7662). Browsers never see it."""
    parties: tuple[str, ...] = ()
    """Clients (`azp` or `client_id`) whose tokens are believed; without it, those of any client."""
    scope: str = "openid profile"
    """What the viewer asks the issuer for."""
    parameters: Mapping[str, str] | None = None
    """What the viewer says beside, such as `{audience: "…"}` (Auth0) or `{resource: "…"}` (RFC 8707)."""
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256")
    """Signatures that are believed."""
    leeway: float = 30.0
    """Seconds that clocks may differ."""
    jwks_file: Path | None = None
    """The issuer's public keys (JWK Set), where they are not to be fetched."""
    allow_http: bool = False
    """Whether an issuer that is not on this machine may be asked without TLS."""

    def __post_init__(self) -> None:
        if (self.issuer is None) == (self.server_url is None):
            raise ValueError("auth.oidc needs issuer, or serverUrl and realm; one of both")
        if (self.server_url is None) != (self.realm is None):
            raise ValueError("auth.oidc.serverUrl and auth.oidc.realm are needed together")
        parts = urlsplit(self.url)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"auth.oidc.issuer must be an https URL; not {self.url!r}")
        if not self.is_fetchable(self.url):
            raise ValueError(f"auth.oidc.issuer {self.url} is not https; allowHttp: true allows that")
        if not self.audiences:
            raise ValueError("auth.oidc needs audience or clientId: tokens for others must not be believed")
        for name in self.algorithms:
            if name not in ALGORITHMS:
                raise ValueError(f"auth.oidc.algorithms must be of {', '.join(ALGORITHMS)}; not {name!r}")
        if not self.algorithms:
            raise ValueError("auth.oidc.algorithms is empty")
        if not 0 <= self.leeway <= 600:
            raise ValueError(f"auth.oidc.leeway must be from 0 to 600 seconds; not {self.leeway}")
        if self.client_secret is not None and self.client_id is None:
            raise ValueError("auth.oidc.clientSecret needs clientId")

    @property
    def url(self) -> str:
        """The issuer."""
        if self.issuer is not None:
            return self.issuer
        return f"{(self.server_url or '').rstrip('/')}/realms/{self.realm}"

    @property
    def audiences(self) -> frozenset[str]:
        """What `aud` must hold one of."""
        return frozenset(self.audience or filter(None, [self.client_id]))

    def is_fetchable(self, url: str) -> bool:
        """Whether keys may be fetched from `url`: over TLS, or from this machine, or as the options allow."""
        parts = urlsplit(url)
        return parts.scheme == "https" or (
            parts.scheme == "http" and (self.allow_http or parts.hostname in _LOOPBACK)
        )


@dataclass(frozen=True, slots=True)
class TokenOptions:
    """A token that does not change, for a program."""

    name: str
    """Of the program, for logs."""
    sha256: str
    """The token's SHA-256, hexadecimal; the token itself is not kept."""
    rights: tuple[Right, ...]
    """read, store, delete."""
    studies: Studies = "all"
    """Which studies they are for."""

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"auth.tokens: sha256 of {self.name} must be 64 hexadecimal digits")
        _check_grant(f"auth.tokens: {self.name}", self.rights, self.studies)


@dataclass(frozen=True, slots=True)
class UserOptions:
    """Somebody with a password (HTTP Basic)."""

    name: str
    """The user name."""
    password: str
    """What `dicomwebserver --hash-password` prints; the password itself is not kept."""
    rights: tuple[Right, ...]
    """read, store, delete."""
    studies: Studies = "all"
    """Which studies they are for."""

    def __post_init__(self) -> None:
        if not self.name or ":" in self.name:
            raise ValueError(f"auth.users: a name must not be empty or hold a colon; not {self.name!r}")
        _check_grant(f"auth.users: {self.name}", self.rights, self.studies)


@dataclass(frozen=True, slots=True)
class RuleOptions:
    """What those may do whose OpenID Connect token has a claim."""

    claim: str
    """Its name; a dot leads into an object: `realm_access.roles`."""
    rights: tuple[Right, ...]
    """read, store, delete."""
    values: tuple[str, ...] | None = None
    """What the claim must hold one of; without it, anything but nothing."""
    studies: Studies | None = None
    """Which studies the rights are for."""
    studies_claim: str | None = None
    """In place of `studies`: the claim that lists Study Instance UIDs."""

    def __post_init__(self) -> None:
        where = f"auth.rules: claim {self.claim}"
        if not self.claim:
            raise ValueError("auth.rules: claim must not be empty")
        if self.values is not None and not self.values:
            raise ValueError(f"{where}: values is empty; leave it out for any value")
        if (self.studies is None) == (self.studies_claim is None):
            raise ValueError(f"{where}: needs studies or studiesClaim; one of both")
        _check_grant(where, self.rights, self.studies if self.studies is not None else "all")


@dataclass(frozen=True, slots=True)
class AuthOptions:
    """Who may use the server."""

    oidc: OidcOptions | None = None
    """Bearer tokens of an OpenID Connect issuer."""
    rules: tuple[RuleOptions, ...] = ()
    """What claims of these tokens allow; several add up."""
    tokens: tuple[TokenOptions, ...] = ()
    """Bearer tokens that do not change."""
    users: tuple[UserOptions, ...] = ()
    """Users with passwords."""

    def __post_init__(self) -> None:
        if self.oidc is None and not self.tokens and not self.users:
            raise ValueError("auth needs oidc, tokens or users: nobody could log in")
        if (self.oidc is None) != (not self.rules):
            raise ValueError(
                "auth.oidc and auth.rules are needed together: without a rule nobody may do anything"
            )
        for what, names in (
            ("tokens", [one.name for one in self.tokens]),
            ("users", [one.name for one in self.users]),
        ):
            if len(set(names)) < len(names):
                raise ValueError(f"auth.{what}: two have the same name")


def _check_grant(where: str, rights: tuple[Right, ...], studies: Studies) -> None:
    if not rights:
        raise ValueError(f"{where}: rights is empty")
    if studies == "all":
        return
    if not studies:
        raise ValueError(f'{where}: studies is empty; write "all" if that is meant')
    if isinstance(studies, tuple):
        for uid in studies:
            if not is_uid(uid):
                raise ValueError(f"{where}: studies must hold Study Instance UIDs; not {uid!r}")
