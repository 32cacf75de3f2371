"""Whatever is sent as a login: it is refused, and nothing else happens."""

import asyncio
import json
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from staticwado.errors import Unauthenticated
from staticwado.web.auth.identity import Right
from staticwado.web.auth.login import Login
from staticwado.web.auth.options import AuthOptions, OidcOptions, RuleOptions, TokenOptions
from staticwado.web.auth.rules import identify, read_rules
from tests.web.auth.conftest import RULES
from tests.web.auth.issuer import rsa
from tests.web.auth.static import static

LOGIN = "https://login.example"


@pytest.fixture(scope="module")
def login(tmp_path_factory: pytest.TempPathFactory) -> Login:
    keys = tmp_path_factory.mktemp("keys") / "keys.json"
    keys.write_text(json.dumps({"keys": [rsa("first").as_dict(private=False)]}))
    oidc = OidcOptions(issuer=LOGIN, audience=("staticwado",), jwks_file=Path(keys))
    return Login(AuthOptions(oidc, RULES, (TokenOptions("t", static("t"), (Right.READ,)),)))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
heads = st.fixed_dictionaries(
    {},
    optional={
        "alg": st.sampled_from(["RS256", "none", "HS256", "ES256"]) | values,
        "kid": st.just("first") | values,
        "typ": st.just("JWT") | values,
        "crit": values,
    },
)


def part(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


tokens = (
    st.text(max_size=60)
    | st.builds(
        lambda head, body, end: f"{part(head)}.{part(body)}.{end}", heads, values, st.text(max_size=20)
    )
    | st.builds(
        lambda head, end: f"{part(head)}.e30.{b64encode(end).decode()}", heads, st.binary(max_size=300)
    )
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.builds(
        lambda scheme, token: scheme + token, st.sampled_from(["Bearer ", "bearer  ", "Basic ", ""]), tokens
    )
)
def test_whatever_stands_in_the_header_is_refused_or_right(login: Login, line: str) -> None:
    if line.strip().partition(" ")[2].strip() == "t":
        return
    with pytest.raises(Unauthenticated):
        asyncio.run(login.identify([line], "127.0.0.1"))


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(["groups", "studies", "sub", "a", "a.b"]), values, max_size=4))
def test_whatever_claims_say_rights_are_never_for_everything_by_mistake(claims: dict[str, object]) -> None:
    rules = read_rules(
        [
            RuleOptions("groups", (Right.READ,), ("exactly-this",), studies="all"),
            RuleOptions("studies", (Right.STORE,), studies_claim="studies"),
            RuleOptions("a.b", (Right.DELETE,), studies=("1.2.3",)),
        ]
    )
    identity = identify("x", claims, rules)
    groups = claims.get("groups")
    named = groups == "exactly-this" or (isinstance(groups, list) and "exactly-this" in groups)
    assert identity.is_unlimited(Right.READ) == named
    assert not identity.is_unlimited(Right.STORE)
    assert not identity.is_unlimited(Right.DELETE)
