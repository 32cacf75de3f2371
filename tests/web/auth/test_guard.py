"""Names, origins, and servers that others reach."""

import sys
from pathlib import Path
from typing import Any

import pytest

from staticwado.errors import ConfigurationError
from staticwado.web.auth.guard import check_exposure, is_loopback
from staticwado.web.auth.identity import Right
from staticwado.web.auth.options import AuthOptions, OidcOptions, RuleOptions, TokenOptions, UserOptions
from staticwado.web.options import ServerOptions
from staticwado.web.viewer_config import viewer_config
from tests import factories
from tests.web.auth.static import static
from tests.web.conftest import StartServer
from tests.web.tree import STUDY, Tree, make_tree

TOKEN = AuthOptions(tokens=(TokenOptions("t", static("t"), (Right.READ, Right.STORE)),))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "pacs.example", "[::]"])
def test_a_server_that_others_reach_needs_a_login_or_a_word(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigurationError, match="--open"):
        check_exposure(ServerOptions(dir=tmp_path, host=host))
    check_exposure(ServerOptions(dir=tmp_path, host=host, open=True))
    check_exposure(ServerOptions(dir=tmp_path, host=host, auth=TOKEN))


def test_what_the_section_lacks_is_told_before_anything_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = UserOptions("alice", "no hash", (Right.READ,))
    with pytest.raises(ConfigurationError, match="--hash-password"):
        check_exposure(ServerOptions(dir=tmp_path, auth=AuthOptions(users=(user,))))
    monkeypatch.setitem(sys.modules, "joserfc", None)
    rules = (RuleOptions("sub", (Right.READ,), studies="all"),)
    oidc = OidcOptions(issuer="https://login.example", client_id="ohif")
    with pytest.raises(ConfigurationError, match=r"pip install staticwado\[auth\]"):
        check_exposure(ServerOptions(dir=tmp_path, auth=AuthOptions(oidc=oidc, rules=rules)))
    check_exposure(ServerOptions(dir=tmp_path, auth=TOKEN))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", "LOCALHOST."])
def test_this_machine_alone_needs_none(tmp_path: Path, host: str) -> None:
    assert is_loopback(host)
    check_exposure(ServerOptions(dir=tmp_path, host=host))


def test_a_login_and_none_contradict_each_other(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="contradict"):
        ServerOptions(dir=tmp_path, auth=TOKEN, open=True)


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:80", "127.0.0.1:5000", "[::1]:5000", "LocalHost", "pacs.example:8443"]
)
def test_a_server_without_login_answers_to_its_names(
    tree: Tree, start_server: StartServer, host: str
) -> None:
    client = start_server(tree.root, open=False, public_url="https://pacs.example/")
    assert client.get("studies", Host=host).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:5000", "127.0.0.1.evil.example", "192.0.2.1", ""]
)
@pytest.mark.parametrize("path", ["/dicomweb/studies", "/", "/metrics", "/wado?requestType=WADO"])
def test_a_name_that_was_pointed_here_leads_to_nothing(
    tree: Tree, start_server: StartServer, host: str, path: str
) -> None:
    """DNS rebinding: a page of evil.example asks its own name, which is 127.0.0.1 by now."""
    client = start_server(tree.root, open=False)
    reply = client.ask(path, Host=host)
    assert reply.status in (400, 403)
    assert STUDY.encode() not in reply.body


def test_health_is_told_under_any_name(tree: Tree, start_server: StartServer) -> None:
    assert start_server(tree.root, open=False).ask("/healthz", Host="10.1.2.3").status == 200


@pytest.mark.parametrize("options", [{"open": True}, {"auth": TOKEN}])
def test_with_a_login_or_open_any_name_is_right(
    tree: Tree, start_server: StartServer, options: dict[str, Any]
) -> None:
    client = start_server(tree.root, **options)
    assert client.get("studies", Host="pacs.example", Authorization="Bearer t").status == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "x", ""])
def test_pages_of_other_origins_store_nothing(tmp_path: Path, start_server: StartServer, origin: str) -> None:
    client = start_server(make_tree(tmp_path / "archive").root, open=False, delete=True)
    headers = {"Origin": origin, "Content_Type": "application/dicom"}
    assert client.ask("/dicomweb/studies", "POST", factories.instance(), **headers).status == 403
    assert client.ask(f"/dicomweb/studies/{STUDY}", "DELETE", Origin=origin).status == 403
    assert client.get("studies", Origin=origin).status == 200


def test_ones_own_pages_and_named_ones_store(tmp_path: Path, start_server: StartServer) -> None:
    options: dict[str, Any] = {
        "allowed_origins": ("https://named.example",),
        "public_url": "https://pacs.example",
    }
    client = start_server(make_tree(tmp_path / "archive").root, open=False, **options)
    own = (f"http://127.0.0.1:{client.port}", "https://pacs.example", "https://named.example")
    for number, origin in enumerate((*own, "https://pacs.example:443")):
        data = factories.instance(seed=number)
        reply = client.ask("/dicomweb/studies", "POST", data, Origin=origin, Content_Type="application/dicom")
        assert reply.status == 200


def test_the_viewer_is_told_how_to_log_in_and_no_secret(tmp_path: Path) -> None:
    oidc = OidcOptions(
        server_url="https://login.example",
        realm="hospital",
        client_id="ohif",
        client_secret="s3cret",
        parameters={"resource": "urn:pacs"},
    )
    rules = (RuleOptions("sub", (Right.READ,), studies="all"),)
    options = ServerOptions(dir=tmp_path, auth=AuthOptions(oidc=oidc, rules=rules))
    [login] = viewer_config(options)["oidc"]
    assert login["authority"] == "https://login.example/realms/hospital"
    assert login["client_id"] == "ohif"
    assert login["response_type"] == "code"
    assert login["extraQueryParams"] == {"resource": "urn:pacs"}
    assert "s3cret" not in str(viewer_config(options))
    assert "oidc" not in viewer_config(ServerOptions(dir=tmp_path))
    assert "oidc" not in viewer_config(ServerOptions(dir=tmp_path, auth=TOKEN))
