"""Sections within sections: `auth` of the server."""

from pathlib import Path
from typing import Any

import json5
import pytest

from staticwado.config import read_options
from staticwado.errors import ConfigurationError
from staticwado.web.auth.identity import Right
from staticwado.web.auth.login import Login
from staticwado.web.options import ServerOptions

WHOLE = """{
  oidc: {serverUrl: "https://login.example", realm: "hospital", clientId: "ohif", jwksFile: "keys.json"},
  rules: [
    {claim: "realm_access.roles", values: ["doctor"], rights: ["read", "store"], studies: "all"},
    {claim: "groups", rights: ["read"], studies: {InstitutionName: "North*"}},
    {claim: "studies", rights: ["read"], studiesClaim: "studies"},
  ],
  tokens: [{name: "backup", sha256: "HASH", rights: ["read"], studies: ["1.2.3"]}],
  users: [{name: "alice", password: "x", rights: ["delete"]}],
}""".replace("HASH", "0" * 64)


def options(tmp_path: Path, auth: str, environ: dict[str, str] | None = None) -> ServerOptions:
    file = tmp_path / "static-wado.json5"
    file.write_text(f"{{dicomWebServerConfig: {{rootDir: '/archive', auth: {auth}}}}}")
    found, warnings = read_options(
        ServerOptions, "dicomWebServerConfig", config_file=file, environ=environ or {}, flags={}
    )
    assert warnings == ()
    return found


def test_a_nested_section_becomes_frozen_options(tmp_path: Path) -> None:
    auth = options(tmp_path, WHOLE).auth
    assert auth is not None
    assert auth.oidc is not None
    assert auth.oidc.url == "https://login.example/realms/hospital"
    assert auth.oidc.jwks_file == tmp_path / "keys.json"
    assert auth.rules[0].rights == (Right.READ, Right.STORE)
    assert auth.rules[1].studies == {"InstitutionName": "North*"}
    assert auth.tokens[0].studies == ("1.2.3",)
    assert auth.users[0].studies == "all"


def changed(path: str, value: object) -> str:
    """WHOLE with one key set, or left out for None."""
    whole: Any = json5.loads(WHOLE)
    place = whole
    *way, last = path.split(".")
    for step in way:
        place = place[int(step)] if step.isdigit() else place.setdefault(step, {})
    if value is None:
        del place[last]
    else:
        place[int(last) if last.isdigit() else last] = value
    return str(json5.dumps(whole))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("oidcc", {}, "unknown key oidcc .*did you mean oidc"),
        ("oidc.isuer", "x", "did you mean issuer"),
        ("rules.0.right", [], "did you mean rights"),
        ("oidc.issuer", "https://x.example", "one of both"),
        ("oidc.realm", None, "needed together"),
        ("oidc.serverUrl", "http://login.example", "allowHttp"),
        ("oidc.serverUrl", "ftp://login.example", "https URL"),
        ("oidc.clientId", None, "audience or clientId"),
        ("oidc.algorithms", ["HS256"], "HS256"),
        ("oidc.algorithms", ["none"], "none"),
        ("oidc.algorithms", [], "empty"),
        ("oidc.leeway", 7e6, "leeway"),
        ("oidc", None, "needed together"),
        ("rules", [], "needed together"),
        ("rules.0.claim", "", "must not be empty"),
        ("rules.0.rights", [], "rights is empty"),
        ("rules.0.rights", ["write"], "one of read, store, delete"),
        ("rules.0.values", [], "values is empty"),
        ("rules.0.studies", None, "studies or studiesClaim"),
        ("rules.0.studies", [], "studies is empty"),
        ("rules.0.studies", {}, "studies is empty"),
        ("rules.0.studies", "everything", "one of all"),
        ("rules.0.studies", ["x"], "Study Instance UIDs"),
        ("rules.0.studies", {"PatientID": 7}, "whose values are text"),
        ("rules.2.studies", "all", "one of both"),
        ("tokens.0.sha256", "00", "64 hexadecimal digits"),
        ("tokens.0.rights", None, "lacks rights"),
        ("users.0.name", "a:b", "colon"),
        ("users", 7, "a list"),
        ("tokens.0", 7, "an object"),
    ],
)
def test_what_makes_no_sense_is_said_with_its_place(
    tmp_path: Path, path: str, value: object, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        options(tmp_path, changed(path, value))
    assert "auth" in str(caught.value)
    assert "static-wado.json5" in str(caught.value)


@pytest.mark.parametrize("auth", ["{}", "[]", "'x'", "{rules: []}"])
def test_a_section_that_lets_nobody_in_is_an_error_and_not_an_open_door(tmp_path: Path, auth: str) -> None:
    with pytest.raises(ConfigurationError):
        options(tmp_path, auth)


def test_a_section_is_given_in_the_file_alone(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="STATICWADO_AUTH must be an object in the configuration"):
        options(tmp_path, WHOLE, {"STATICWADO_AUTH": "{}"})


@pytest.mark.parametrize(
    "studies",
    [{"PatientID": "*"}, {"NoSuchThing": "x"}, {"StudyDate": "soon"}, {"Rows": "7"}, {"limit": "1"}],
)
def test_a_condition_that_holds_for_everything_or_means_nothing_is_an_error(
    tmp_path: Path, studies: dict[str, str]
) -> None:
    """Else what was meant as a limit would be none."""
    with pytest.raises(ConfigurationError, match=r"auth.rules: claim realm_access.roles"):
        Login(options(tmp_path, changed("rules.0.studies", studies)).auth)
