"""Signatures of JSON Web Tokens (RFC 7515, 7518, 7519), and public keys (RFC 7517).

One rule: which algorithm is used is said by the configuration and by the key, never by the token alone.
"""

import math
from base64 import urlsafe_b64decode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from staticwado.errors import ConfigurationError, Unauthenticated
from staticwado.web.auth.options import ALGORITHMS

LONGEST_TOKEN = 16 << 10
"""Characters."""
_TYPES = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
_KIND_OF = {"RS": "RSA", "PS": "RSA", "ES": "EC"}
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
_SMALLEST_RSA = 2048
_MOST_KEYS = 100


@dataclass(frozen=True, slots=True)
class Key:
    """A public key of the issuer."""

    kid: str | None
    algorithms: frozenset[str]
    """What it may verify."""
    key: Any


@dataclass(frozen=True, slots=True)
class Head:
    """The protected header of a token, as far as it is believed before the signature is checked."""

    algorithm: str
    kid: str | None


def check_library() -> None:
    """Raises ConfigurationError if the library for signatures is not installed."""
    try:
        import joserfc  # noqa: F401
    except ImportError as error:
        raise ConfigurationError(
            "auth.oidc needs a library that is not installed: pip install staticwado[auth]"
        ) from error


def read_keys(document: bytes, algorithms: Collection[str]) -> tuple[Key, ...]:
    """The usable keys of a JWK Set (RFC 7517 5); those for other purposes are passed over.

    Raises ValueError if it is no JWK Set.
    """
    found = orjson.loads(document)
    entries = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(entries, list):
        raise ValueError("it is no JWK Set: there are no keys in it")
    keys = (_key(entry, algorithms) for entry in entries[:_MOST_KEYS] if isinstance(entry, dict))
    return tuple(key for key in keys if key is not None)


def _key(entry: Mapping[str, Any], algorithms: Collection[str]) -> Key | None:
    """A key that may verify signatures; None for any other, shared secrets above all."""
    from joserfc.errors import JoseError
    from joserfc.jwk import import_key

    operations, kid = entry.get("key_ops"), entry.get("kid")
    usable = frozenset(name for name in algorithms if _fits(name, entry))
    if not usable or entry.get("use", "sig") != "sig" or (kid is not None and not isinstance(kid, str)):
        return None
    if operations is not None and (not isinstance(operations, list) or "verify" not in operations):
        return None
    # Never the private part, should an issuer have published it; and no names that only confuse the library.
    public = {name: entry[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in entry}
    try:
        if entry["kty"] == "RSA" and _bits(public["n"]) < _SMALLEST_RSA:
            return None
        key = import_key(public)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return Key(kid, usable, key)


def _bits(number: str) -> int:
    """The bits of a number that a key holds (RFC 7518 6.3.1.1). Raises ValueError."""
    return int.from_bytes(_bytes(number), "big").bit_length()


def _bytes(part: str) -> bytes:
    return urlsafe_b64decode(part.encode("ascii") + b"=" * (-len(part) % 4))


def _fits(algorithm: str, entry: Mapping[str, Any]) -> bool:
    """Whether a key is of the kind that the algorithm needs, and not meant for another one."""
    if algorithm not in ALGORITHMS or entry.get("kty") != _KIND_OF[algorithm[:2]]:
        return False
    if algorithm in _CURVES and entry.get("crv") != _CURVES[algorithm]:
        return False
    return entry.get("alg") in (None, algorithm)


def read_head(token: str, algorithms: Collection[str]) -> Head:
    """The header of a compact JWS. Raises Unauthenticated for one that is not to be believed."""
    if len(token) > LONGEST_TOKEN:
        raise Unauthenticated("the token is too long")
    parts = token.split(".")
    if len(parts) != 3 or not all(parts):
        raise Unauthenticated("the token is no signed JSON Web Token")
    head = _decoded(parts[0])
    algorithm, kid, kind = head.get("alg"), head.get("kid"), head.get("typ")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise Unauthenticated("the token is signed in a way that is not believed here")
    # Extensions that must be understood (RFC 7515 4.1.11): none is.
    if "crit" in head or "b64" in head:
        raise Unauthenticated("the token needs an extension that is not known")
    if kid is not None and not isinstance(kid, str):
        raise Unauthenticated("the token names its key in an odd way")
    if kind is not None and (not isinstance(kind, str) or kind.lower() not in _TYPES):
        raise Unauthenticated("the token is of another kind")
    return Head(algorithm, kid)


def _decoded(part: str) -> Mapping[str, Any]:
    try:
        found = orjson.loads(_bytes(part))
    except (ValueError, UnicodeEncodeError) as error:
        raise Unauthenticated("the token is no signed JSON Web Token") from error
    if not isinstance(found, dict):
        raise Unauthenticated("the token is no signed JSON Web Token")
    return found


def suitable(head: Head, keys: Sequence[Key]) -> Key | None:
    """The key that a token names; without a name, the only one of its algorithm."""
    found = [key for key in keys if head.algorithm in key.algorithms and head.kid in (None, key.kid)]
    return found[0] if len(found) == 1 else None


def read_claims(token: str, head: Head, key: Key) -> Mapping[str, Any]:
    """The claims of a token whose signature is right. Raises Unauthenticated."""
    from joserfc import jws
    from joserfc.errors import JoseError

    registry = jws.JWSRegistry(algorithms=[head.algorithm], strict_check_header=False)
    registry.max_header_length = registry.max_payload_length = LONGEST_TOKEN
    try:
        found = jws.deserialize_compact(token, key.key, registry=registry)
        claims = orjson.loads(found.payload)
    except (JoseError, ValueError, TypeError) as error:
        raise Unauthenticated("the token's signature is not right") from error
    if not isinstance(claims, dict):
        raise Unauthenticated("the token holds no claims")
    return claims


def check_times(claims: Mapping[str, Any], now: float, leeway: float) -> float:
    """When a token ends, in seconds since 1970 (RFC 7519 4.1.4, 4.1.5). Raises Unauthenticated."""
    for name in ("exp", "nbf", "iat"):
        value = claims.get(name)
        if value is None and name != "exp":
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise Unauthenticated(f"the token has no right {name}")
    if now >= claims["exp"] + leeway:
        raise Unauthenticated("the token has expired")
    if any(now < claims.get(name, now) - leeway for name in ("nbf", "iat")):
        raise Unauthenticated("the token is not valid yet")
    return float(claims["exp"])
