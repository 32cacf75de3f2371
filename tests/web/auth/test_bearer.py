"""Tokens of an issuer, right and wrong in every way that has been tried elsewhere."""

import asyncio
import json
import time
import warnings
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import OctKey

from staticwado.errors import Unauthenticated
from staticwado.web.auth.issuer import Issuer as Keys
from staticwado.web.auth.jose import Head, read_head, read_keys
from staticwado.web.auth.options import ALGORITHMS, AuthOptions
from tests.web.auth.conftest import RULES, StartGuarded, oidc
from tests.web.auth.issuer import Issuer, elliptic, encoded, rsa
from tests.web.conftest import Client, Reply
from tests.web.tree import STUDY


def ask(client: Client, token: str, path: str = "studies") -> Reply:
    return client.get(path, Authorization=f"Bearer {token}")


def assert_refused(reply: Reply) -> None:
    assert reply.status == 401, reply.body
    assert reply.headers["www-authenticate"] == 'Bearer realm="staticwado", error="invalid_token"'
    assert STUDY.encode() not in reply.body


def test_a_right_token_is_believed(believing: Client, lasting_issuer: Issuer) -> None:
    assert len(ask(believing, lasting_issuer.token()).json) == 2


def test_a_token_of_another_key_and_algorithm_of_the_issuer_is_believed(
    believing: Client, lasting_issuer: Issuer
) -> None:
    token = lasting_issuer.token(lasting_issuer.keys[1], "ES256")
    assert ask(believing, token).status == 200


def test_an_audience_among_several_is_enough(believing: Client, lasting_issuer: Issuer) -> None:
    assert ask(believing, lasting_issuer.token(aud=["account", "staticwado"])).status == 200


def test_without_a_token_nothing_is_said_and_no_error_is_named(believing: Client) -> None:
    reply = believing.get("studies")
    assert reply.status == 401
    assert reply.headers["www-authenticate"] == 'Bearer realm="staticwado"'


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": int(time.time()) - 60},
        {"exp": None},
        {"exp": "never"},
        {"exp": True},
        {"nbf": int(time.time()) + 86_400},
        {"iat": int(time.time()) + 86_400},
        {"aud": "somebody else"},
        {"aud": None},
        {"aud": []},
        {"aud": ["x", 7, None]},
        {"aud": {"staticwado": True}},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"sub": None},
        {"sub": 7},
    ],
    ids=lambda changes: " ".join(f"{name} {type(value).__name__}" for name, value in changes.items()),
)
def test_a_token_with_wrong_claims_is_refused(
    believing: Client, lasting_issuer: Issuer, changes: dict[str, Any]
) -> None:
    assert_refused(ask(believing, lasting_issuer.token(**changes)))


def test_the_leeway_is_for_clocks_that_differ(believing: Client, lasting_issuer: Issuer) -> None:
    assert ask(believing, lasting_issuer.token(exp=int(time.time()) - 5)).status == 200


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
@pytest.mark.parametrize("signature", ["", "eA"])
def test_no_signature_is_no_signature(
    believing: Client, lasting_issuer: Issuer, algorithm: str, signature: str
) -> None:
    token = f"{encoded({'alg': algorithm, 'kid': 'first'})}.{encoded(lasting_issuer.claims())}.{signature}"
    assert_refused(ask(believing, token))


def test_the_public_key_is_no_shared_secret(believing: Client, lasting_issuer: Issuer) -> None:
    for secret in (
        lasting_issuer.keys[0].as_pem(private=False),
        json.dumps(lasting_issuer.keys[0].as_dict(private=False)).encode(),
    ):
        with warnings.catch_warnings(action="ignore"):
            key = OctKey.import_key(secret.hex(), {"kid": "first"})
        assert_refused(ask(believing, lasting_issuer.token(key, "HS256")))


def test_a_key_of_somebody_else_under_a_known_name_is_refused(
    believing: Client, lasting_issuer: Issuer
) -> None:
    assert_refused(ask(believing, lasting_issuer.token(rsa("first", "stranger"))))


def test_keys_are_not_swapped(believing: Client, lasting_issuer: Issuer) -> None:
    """Signed by one key of the issuer, named after the other."""
    first, second = lasting_issuer.keys
    assert_refused(ask(believing, lasting_issuer.token(first, head={"kid": second.kid})))
    assert_refused(ask(believing, lasting_issuer.token(second, "ES256", head={"kid": first.kid})))


def test_a_key_that_the_token_brings_along_is_not_used(believing: Client, lasting_issuer: Issuer) -> None:
    mine = rsa("mine")
    head = {"jwk": mine.as_dict(private=False), "kid": "first"}
    assert_refused(ask(believing, lasting_issuer.token(mine, head=head)))
    assert_refused(ask(believing, lasting_issuer.token(mine, head={"jku": "https://evil.example/keys"})))


@pytest.mark.parametrize(
    "head",
    [
        {"crit": ["exp"], "exp": 1},
        {"b64": False, "crit": ["b64"]},
        {"typ": "logout+jwt"},
        {"typ": 7},
        {"alg": "RS1"},
        {"alg": 7},
        {"kid": 7},
        {"kid": None},
    ],
    ids=str,
)
def test_a_token_with_an_odd_header_is_refused(
    believing: Client, lasting_issuer: Issuer, head: dict[str, Any]
) -> None:
    good = lasting_issuer.token().split(".")
    header = {"alg": "RS256", "kid": "first", **head}
    if head == {"kid": None}:
        header = {"alg": "RS384"}
    assert_refused(ask(believing, ".".join([encoded(header), *good[1:]])))


def test_other_claims_under_a_right_signature_are_refused(believing: Client, lasting_issuer: Issuer) -> None:
    head, _, signature = lasting_issuer.token(groups=[]).split(".")
    assert_refused(ask(believing, f"{head}.{encoded(lasting_issuer.claims())}.{signature}"))


@pytest.mark.parametrize(
    "token", ["x", ".", "..", "a.b.c", "....", "e30.e30.e30", "%00", "W10.W10.W10", "a" * 9000]
)
def test_garbage_is_refused(believing: Client, token: str) -> None:
    assert_refused(ask(believing, token))


def test_a_huge_token_is_refused(believing: Client, lasting_issuer: Issuer) -> None:
    assert ask(believing, lasting_issuer.token(more="x" * 30_000)).status == 431
    with pytest.raises(Unauthenticated, match="too long"):
        read_head(lasting_issuer.token(more="x" * 30_000), ["RS256"])


def test_a_token_that_names_no_key_is_of_the_only_one(believing: Client, lasting_issuer: Issuer) -> None:
    assert ask(believing, lasting_issuer.token(head={"kid": None})).status == 200


@pytest.mark.parametrize("scheme", ["", "Digest x", "Bearer", "Bearer ", "Basic YTpi", "Bearer\tx"])
def test_other_kinds_of_logins_are_refused(believing: Client, scheme: str) -> None:
    assert believing.get("studies", Authorization=scheme).status == 401


def test_a_token_in_the_url_is_no_login(believing: Client, lasting_issuer: Issuer) -> None:
    for name in ("access_token", "token", "Authorization"):
        assert believing.get(f"studies?{name}={lasting_issuer.token()}").status == 401


def test_a_token_is_not_believed_any_longer_than_it_says(guarded: StartGuarded, issuer: Issuer) -> None:
    client = guarded(AuthOptions(oidc=oidc(issuer, leeway=0.0), rules=RULES))
    token = issuer.token(exp=time.time() + 1.0)
    statuses = {ask(client, token).status}
    while time.time() < json.loads(_payload(token))["exp"]:
        statuses.add(ask(client, token).status)
    assert statuses <= {200, 401}
    assert 200 in statuses
    assert_refused(ask(client, token))


def _payload(token: str) -> bytes:
    return urlsafe_b64decode(token.split(".")[1] + "==")


# -- Keys ----------------------------------------------------------------------------------------------------


def test_keys_are_fetched_once_and_not_for_each_request(guarded: StartGuarded, issuer: Issuer) -> None:
    client = guarded(AuthOptions(oidc=oidc(issuer), rules=RULES))
    for number in range(5):
        assert ask(client, issuer.token(jti=str(number))).status == 200
    assert issuer.asked.count("/keys") == 1


def test_strangers_with_unknown_keys_do_not_make_the_server_ask(
    guarded: StartGuarded, issuer: Issuer
) -> None:
    client = guarded(AuthOptions(oidc=oidc(issuer), rules=RULES))
    assert ask(client, issuer.token()).status == 200
    stranger = rsa("unknown")
    for number in range(10):
        assert_refused(ask(client, issuer.token(stranger, jti=str(number))))
    assert issuer.asked.count("/keys") == 1


def test_new_keys_are_fetched_when_a_token_names_them_once_a_minute(issuer: Issuer) -> None:
    now = [1000.0]
    keys = Keys(oidc(issuer), lambda: now[0])

    async def found(kid: str) -> bool:
        return await keys.find(Head("RS256", kid)) is not None

    async def rotate() -> None:
        assert await found("first")
        issuer.keys = [rsa("third")]
        now[0] += 30
        assert not await found("third")
        assert await found("first")
        now[0] += 40
        assert all(await asyncio.gather(*(found("third") for _ in range(10))))
        assert not await found("first")

    asyncio.run(rotate())
    assert issuer.asked.count("/keys") == 2


def test_keys_that_the_issuer_took_back_are_forgotten_after_an_hour(issuer: Issuer) -> None:
    now = [1000.0]
    keys = Keys(oidc(issuer), lambda: now[0])

    async def forget() -> None:
        assert await keys.find(Head("RS256", "first")) is not None
        issuer.keys = [rsa("third")]
        now[0] += 3601
        assert await keys.find(Head("RS256", "first")) is not None  # while it is fetched beside
        assert await keys.find(Head("RS256", "third")) is not None
        assert await keys.find(Head("RS256", "first")) is None

    asyncio.run(forget())


def test_only_public_keys_for_signatures_are_read(issuer: Issuer) -> None:
    good = issuer.keys[0].as_dict(private=False)
    small = {
        "kty": "RSA", "e": "AQAB", "kid": "small",
        "n": urlsafe_b64encode((1 << 1023 | 1).to_bytes(128, "big")).decode().rstrip("="),
    }  # fmt: skip
    odd: list[Any] = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"},
        {**good, "use": "enc"},
        {**good, "alg": "RSA-OAEP"},
        {**good, "alg": "HS256"},
        {**good, "key_ops": ["encrypt"]},
        {**good, "key_ops": 7},
        {**good, "kid": 7},
        {**good, "n": "!!!"},
        {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        small,
        {},
        None,
        "key",
    ]
    assert read_keys(json.dumps({"keys": odd}).encode(), ALGORITHMS) == ()
    [key] = read_keys(json.dumps({"keys": [*odd, good]}).encode(), ALGORITHMS)
    assert key.kid == "first"


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"keys": 7}', b"\xff"])
def test_what_is_no_key_set_is_said(document: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        read_keys(document, ALGORITHMS)


def test_what_redirects_is_not_followed(guarded: StartGuarded, issuer: Issuer) -> None:
    issuer.answers["/.well-known/openid-configuration"] = 302, {"Location": f"{issuer.url}/elsewhere"}, b""
    client = guarded(AuthOptions(oidc=oidc(issuer), rules=RULES))
    assert ask(client, issuer.token()).status == 503
    assert "/elsewhere" not in issuer.asked


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b'{"issuer": "https://other.example", "jwks_uri": "http://127.0.0.1/keys"}',
        b'{"issuer": "ISSUER"}',
        b'{"issuer": "ISSUER", "jwks_uri": "http://elsewhere.example/keys"}',
        b'{"issuer": "ISSUER", "jwks_uri": "file:///etc/passwd"}',
        b'{"issuer": "ISSUER", "jwks_uri": 7}',
        b" " * (2 << 20),
    ],
    ids=range(9),
)
def test_an_odd_discovery_document_lets_nobody_in(
    guarded: StartGuarded, issuer: Issuer, document: bytes
) -> None:
    issuer.answers["/.well-known/openid-configuration"] = (
        200,
        {},
        document.replace(b"ISSUER", issuer.url.encode()),
    )
    client = guarded(AuthOptions(oidc=oidc(issuer), rules=RULES))
    reply = ask(client, issuer.token())
    assert reply.status == 503
    assert b"/etc" not in reply.body


def test_an_issuer_that_is_away_costs_those_who_are_known_nothing(
    guarded: StartGuarded, issuer: Issuer
) -> None:
    client = guarded(AuthOptions(oidc=oidc(issuer), rules=RULES))
    assert ask(client, issuer.token()).status == 200
    issuer.answers["/keys"] = 500, {}, b""
    assert ask(client, issuer.token(jti="2")).status == 200
    assert_refused(ask(client, issuer.token(rsa("new"))))


def test_an_issuer_that_was_never_there_is_no_reason_to_let_anybody_in(
    guarded: StartGuarded, issuer: Issuer
) -> None:
    client = guarded(AuthOptions(oidc=oidc(issuer, issuer="http://127.0.0.1:1"), rules=RULES))
    assert ask(client, issuer.token()).status == 503
    assert client.ask("/healthz").status == 200


def test_keys_may_lie_in_a_file_that_is_read_again_when_it_changes(
    guarded: StartGuarded, issuer: Issuer, tmp_path: Path
) -> None:
    place = tmp_path / "keys.json"
    place.write_bytes(issuer.jwks())
    client = guarded(AuthOptions(oidc=oidc(issuer, jwks_file=place), rules=RULES))
    old = issuer.token()
    assert ask(client, old).status == 200
    issuer.keys = [elliptic("third")]
    place.write_bytes(issuer.jwks())
    assert ask(client, issuer.token(algorithm="ES256")).status == 200
    assert issuer.asked == []


# -- Clients, and tokens that are no JWT ---------------------------------------------------------------------


def test_only_tokens_of_named_clients_are_believed(guarded: StartGuarded, issuer: Issuer) -> None:
    client = guarded(AuthOptions(oidc=oidc(issuer, parties=("ohif",)), rules=RULES))
    assert ask(client, issuer.token(azp="ohif")).status == 200
    assert ask(client, issuer.token(client_id="ohif")).status == 200
    assert_refused(ask(client, issuer.token(azp="evil", client_id="ohif")))
    assert_refused(ask(client, issuer.token()))


def test_the_client_id_is_the_audience_unless_another_is_named(guarded: StartGuarded, issuer: Issuer) -> None:
    client = guarded(AuthOptions(oidc=oidc(issuer, audience=(), client_id="ohif"), rules=RULES))
    assert ask(client, issuer.token(aud="ohif")).status == 200
    assert_refused(ask(client, issuer.token()))


def test_a_realm_of_keycloak_is_an_issuer(guarded: StartGuarded, issuer: Issuer) -> None:
    options = oidc(issuer, issuer=None, server_url=f"{issuer.url}/", realm="hospital")
    assert options.url == f"{issuer.url}/realms/hospital"


def test_opaque_tokens_are_asked_about(guarded: StartGuarded, issuer: Issuer) -> None:
    login = {"client_id": "ohif", "client_secret": "s3cret"}
    client = guarded(AuthOptions(oidc=oidc(issuer, **login), rules=RULES))
    issuer.active["opaque"] = {"active": True, "client_id": "staticwado", "sub": "a", "groups": ["radiology"]}
    issuer.active["foreign"] = {"active": True, "client_id": "other", "sub": "a", "groups": ["radiology"]}
    issuer.active["old"] = issuer.active["opaque"] | {"exp": 7}
    assert ask(client, "opaque").status == 200
    assert ask(client, "opaque").status == 200
    assert issuer.asked.count("/introspect") == 1
    for token in ("foreign", "old", "unknown"):
        assert_refused(ask(client, token))


def test_without_a_secret_nobody_is_asked(believing: Client, lasting_issuer: Issuer) -> None:
    lasting_issuer.active["opaque"] = {"active": True, "client_id": "staticwado", "sub": "a"}
    assert_refused(ask(believing, "opaque"))
