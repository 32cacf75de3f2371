"""Passwords and tokens that do not change."""

import asyncio
import http.client
from base64 import b64encode
from typing import Any

import pytest

from staticwado.errors import ConfigurationError, Unauthenticated
from staticwado.web.auth import basic as basic_module
from staticwado.web.auth.basic import Passwords, hash_password, read_hash
from staticwado.web.auth.identity import Right
from staticwado.web.auth.options import AuthOptions, TokenOptions, UserOptions
from tests.web.auth.conftest import StartGuarded
from tests.web.auth.static import static
from tests.web.tree import OTHER_STUDY, STUDY

HASH = hash_password("päss:wörd")
ALICE = UserOptions("alice", HASH, (Right.READ,), (STUDY,))


def basic(text: str) -> str:
    return "Basic " + b64encode(text.encode()).decode()


def test_a_user_with_the_right_password_sees_their_studies(guarded: StartGuarded) -> None:
    client = guarded(AuthOptions(users=(ALICE,)))
    header = basic("alice:päss:wörd")
    assert [entry["0020000D"]["Value"] for entry in client.get("studies", Authorization=header).json] == [
        [STUDY]
    ]
    assert client.get(f"studies/{OTHER_STUDY}/metadata", Authorization=header).status == 403
    assert client.get("studies", Authorization=header.replace("Basic", "bAsIc")).status == 200


@pytest.mark.parametrize(
    "text", ["alice:", "alice:wrong", "bob:päss:wörd", ":", "alice", "", "Alice:päss:wörd"]
)
def test_any_other_password_or_name_is_refused_in_the_same_words(guarded: StartGuarded, text: str) -> None:
    reply = guarded(AuthOptions(users=(ALICE,))).get("studies", Authorization=basic(text))
    assert reply.status == 401
    assert reply.headers["www-authenticate"] == 'Basic realm="staticwado", charset="UTF-8"'
    if ":" in text:
        assert "the user name or the password is wrong" in reply.error


@pytest.mark.parametrize("credentials", ["!!!", "gICA", "YTpi" * 1000, "YTpi YTpi"])
def test_what_cannot_be_read_is_refused(guarded: StartGuarded, credentials: str) -> None:
    reply = guarded(AuthOptions(users=(ALICE,))).get("studies", Authorization=f"Basic {credentials}")
    assert reply.status == 401


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_who_guesses_has_to_wait_longer_and_longer() -> None:
    clock = Clock()
    passwords = Passwords([ALICE], clock)

    async def told(text: str, client: str = "1.2.3.4") -> str:
        try:
            return (await passwords.identify(b64encode(text.encode()).decode(), client)).subject
        except Unauthenticated as error:
            return str(error)

    async def guess() -> None:
        for _ in range(5):
            assert "wrong" in await told("alice:guess")
        assert "wait" in await told("alice:päss:wörd")
        assert await told("alice:päss:wörd", "5.6.7.8") == "user:alice"
        # Known by now, from wherever: whoever guesses does not keep out those who are in.
        assert await told("alice:päss:wörd") == "user:alice"
        clock.now += 1.5
        assert "wrong" in await told("alice:guess")
        clock.now += 1.5
        assert "wait" in await told("alice:guess")

    asyncio.run(guess())
    passwords.close()


def test_having_to_wait_does_not_tell_which_names_are_known() -> None:
    passwords = Passwords([ALICE], Clock())

    async def told(name: str) -> str:
        with pytest.raises(Unauthenticated) as caught:
            await passwords.identify(b64encode(f"{name}:guess".encode()).decode(), "1.2.3.4")
        return str(caught.value)

    async def guess() -> None:
        for name in ("alice", "nobody"):
            assert ["wait" in await told(name) for _ in range(6)] == [False] * 5 + [True]

    asyncio.run(guess())
    passwords.close()


def test_a_password_is_checked_once_in_a_while_and_not_for_each_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Any] = []
    scrypt = basic_module._scrypt

    def counted(*given: Any) -> bytes:
        made.append(given)
        return scrypt(*given)

    monkeypatch.setattr(basic_module, "_scrypt", counted)
    clock = Clock()
    passwords = Passwords([ALICE], clock)
    credentials = b64encode("alice:päss:wörd".encode()).decode()

    async def ask() -> None:
        for _ in range(10):
            await passwords.identify(credentials, "")
        assert len(made) == 1
        clock.now += 301
        await passwords.identify(credentials, "")
        assert len(made) == 2

    asyncio.run(ask())
    passwords.close()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        "$".join(["scrypt", "2", *HASH.split("$")[2:]]),
        HASH.replace("scrypt", "md5"),
        HASH + "x",
        HASH.replace("$32768$", "$1073741824$"),
        HASH.replace("$32768$", "$32767$"),
        HASH.rpartition("$")[0] + "$AAAA",
    ],
    ids=["empty", "no hash", "few rounds", "another function", "too long", "too many rounds", "odd", "short"],
)
def test_what_is_no_hash_of_a_password_is_told_at_the_start(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--hash-password"):
        read_hash("auth.users: alice", text)


def test_no_password_is_kept_and_none_is_hashed_twice_alike() -> None:
    assert "päss" not in HASH
    assert hash_password("päss:wörd") != HASH
    assert read_hash("", HASH).fits("päss:wörd".encode())


def test_a_token_that_does_not_change_is_for_a_program(guarded: StartGuarded) -> None:
    tokens = (
        TokenOptions("backup", static("0123"), (Right.READ,)),
        TokenOptions("one", static("4567"), (Right.READ,), (STUDY,)),
    )
    client = guarded(AuthOptions(tokens=tokens))
    assert len(client.get("studies", Authorization="Bearer 0123").json) > 1
    assert len(client.get("studies", Authorization="Bearer 4567").json) == 1
    for token in ("0124", "", static("0123"), "0123 ", "0123,4567"):
        reply = client.get("studies", Authorization=f"Bearer {token}x" if token else "Bearer")
        assert reply.status == 401


def test_both_kinds_of_logins_are_offered_where_both_are_known(guarded: StartGuarded) -> None:
    token = TokenOptions("backup", static("0123"), (Right.READ,))
    client = guarded(AuthOptions(tokens=(token,), users=(ALICE,)))
    reply = client.get("studies")
    assert (
        reply.headers["www-authenticate"]
        == 'Bearer realm="staticwado", Basic realm="staticwado", charset="UTF-8"'
    )


def test_two_logins_are_none(guarded: StartGuarded) -> None:
    token = TokenOptions("backup", static("0123"), (Right.READ,))
    client = guarded(AuthOptions(tokens=(token,)))
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=30)
    connection.putrequest("GET", "/dicomweb/studies")
    connection.putheader("Authorization", "Bearer 0123")
    connection.putheader("Authorization", "Bearer 9999")
    connection.endheaders()
    assert connection.getresponse().status == 401
    connection.close()
