"""What those see, store and delete who may do so with some studies only: every route, every way around."""

import re
from pathlib import Path
from typing import Any

import pytest

from staticwado.dicomweb.routes import ROUTES, Route, Service
from staticwado.ingest.outcome import Reason
from staticwado.web.auth.identity import Right
from staticwado.web.auth.options import AuthOptions, RuleOptions, TokenOptions
from tests import factories
from tests.web.auth.conftest import RULES, StartGuarded, oidc
from tests.web.auth.issuer import Issuer
from tests.web.auth.static import static
from tests.web.conftest import Client, Reply
from tests.web.tree import NATIVE, OTHER_STUDY, SERIES, STUDY, VALUE, address, make_tree

NO_STUDY = "1.2.99"
LIMITED = ("one", "patient", "claimed")
"""Three ways to be allowed STUDY and nothing else."""
FILL = {"study": STUDY, "series": SERIES, "instance": NATIVE, "frames": "1", "frame": "1"}


def token_of(issuer: Issuer, who: str) -> str:
    if who == "claimed":
        return issuer.token(groups=[], studies=[STUDY, 7, "../x"])
    return issuer.token(groups=[who])


@pytest.fixture(params=LIMITED)
def limited(request: pytest.FixtureRequest, lasting_issuer: Issuer) -> str:
    """The header of somebody who may see STUDY alone."""
    return "Bearer " + token_of(lasting_issuer, request.param)


def filled(route: Route, study: str) -> str:
    """The route's path for a resource of `study`."""
    series, instance = (SERIES, NATIVE) if study == STUDY else (f"{study}.1", f"{study}.1.1")
    prefix, _, rest = address(VALUE).partition("/")
    values = {
        **FILL,
        "study": study,
        "series": series,
        "instance": instance,
        "prefix": prefix,
        "address": rest,
    }
    return re.sub(r"{([a-z]+)[^}]*}", lambda found: values.get(found[1], address(VALUE)), route.path)


def without_id(reply: Reply) -> tuple[int, bytes]:
    return reply.status, re.sub(rb',"request":"[^"]*"', b"", reply.body)


OF_STUDIES = [route for route in ROUTES if "{study}" in route.path]


def test_the_table_names_many_routes_of_studies() -> None:
    assert len(OF_STUDIES) > 25


@pytest.mark.parametrize("route", OF_STUDIES, ids=lambda route: f"{route.method} {route.path}")
def test_no_route_tells_of_another_study(believing: Client, limited: str, route: Route) -> None:
    """Whether it is there or not: the same bytes, whatever is asked for and however."""
    accepts = [str(media) for media in route.answers] or ["*/*"]
    if route.method == "POST" and "claimed" not in limited:
        accepts = accepts[:1]
    for accept in [*accepts, "*/*", "application/zip"]:
        replies = [
            believing.ask(
                f"/dicomweb/{filled(route, study)}", route.method, Authorization=limited, Accept=accept
            )
            for study in (OTHER_STUDY, NO_STUDY)
        ]
        assert without_id(replies[0]) == without_id(replies[1])
        assert replies[0].headers.keys() == replies[1].headers.keys()
        if route.method != "POST":
            assert replies[0].status == 403
        assert replies[0].status >= 400
        assert b"P2" not in replies[0].body


@pytest.mark.parametrize("route", OF_STUDIES, ids=lambda route: f"{route.method} {route.path}")
def test_no_route_answers_without_a_login(believing: Client, route: Route) -> None:
    for study in (STUDY, NO_STUDY):
        assert believing.ask(f"/dicomweb/{filled(route, study)}", route.method).status == 401


@pytest.mark.parametrize(
    "route",
    [route for route in OF_STUDIES if route.service in (Service.RETRIEVE, Service.SEARCH, Service.THUMBNAIL)],
    ids=lambda route: f"{route.method} {route.path}",
)
def test_ones_own_study_is_answered_as_ever(
    believing: Client, server: Client, limited: str, route: Route
) -> None:
    path = filled(route, STUDY)
    mine, theirs = believing.get(path, Authorization=limited), server.get(path)
    assert mine.status == theirs.status
    assert mine.status != 403
    assert mine.headers["content-type"] == theirs.headers["content-type"]


METADATA = f"studies/{OTHER_STUDY}/metadata"


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("HEAD", {}),
        ("GET", {"Range": "bytes=0-10"}),
        ("GET", {"Range": "bytes=9999999-"}),
        ("GET", {"If_None_Match": "*"}),
        ("GET", {"If_Match": '"x"'}),
        ("GET", {"If_Modified_Since": "Sat, 21 Nov 2099 00:00:00 GMT"}),
        ("GET", {"Accept": "text/html"}),
        ("GET", {"Accept": "application/dicom+json;q=2"}),
    ],
    ids=str,
)
def test_conditions_and_ranges_tell_nothing(
    believing: Client, server: Client, limited: str, method: str, headers: dict[str, Any]
) -> None:
    true_tag = server.get(METADATA).headers["etag"]
    for more in ({}, {"If_None_Match": true_tag}):
        reply = believing.ask(f"/dicomweb/{METADATA}", method, Authorization=limited, **{**headers, **more})
        assert reply.status == 403
        assert "etag" not in reply.headers


def test_what_somebody_else_was_just_told_is_not_repeated(
    believing: Client, lasting_issuer: Issuer, limited: str
) -> None:
    everything = "Bearer " + lasting_issuer.token()
    for _ in range(2):
        for path in (METADATA, "studies", "series", "instances", f"studies/{OTHER_STUDY}/series"):
            full = believing.get(path, Authorization=everything)
            assert OTHER_STUDY.encode() in full.body or path == METADATA
            reply = believing.get(path, Authorization=limited)
            assert OTHER_STUDY.encode() not in reply.body
            assert believing.get(path).status == 401


def test_a_browser_that_several_people_use_asks_again(
    believing: Client, server: Client, lasting_issuer: Issuer
) -> None:
    everything = "Bearer " + lasting_issuer.token()
    frame = f"studies/{STUDY}/series/{SERIES}/instances/{NATIVE}/frames/1"
    assert "immutable" in server.get(frame).headers["cache-control"]
    reply = believing.get(frame, Authorization=everything)
    assert reply.headers["cache-control"] == "private, no-cache"
    tag = reply.headers["etag"]
    assert believing.get(frame, Authorization=everything, If_None_Match=tag).status == 304
    assert believing.get(frame, If_None_Match=tag).status == 401


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?limit=100",
        "?limit=1&offset=1",
        f"?StudyInstanceUID={OTHER_STUDY}",
        f"?StudyInstanceUID={STUDY},{OTHER_STUDY}",
        f"?StudyInstanceUID={OTHER_STUDY}&includefield=all",
        "?PatientID=P2",
        "?PatientID=P*&includefield=all",
        "?PatientName=*p2*&fuzzymatching=true",
        "?StudyDate=20200101",
        "?includefield=00100010&includefield=00100020",
        "?limit=0",
    ],
)
@pytest.mark.parametrize("level", ["studies", "series", "instances"])
def test_searches_find_ones_own_studies_alone(
    believing: Client, limited: str, level: str, query: str
) -> None:
    reply = believing.get(f"{level}{query}", Authorization=limited)
    assert reply.status == 200
    assert OTHER_STUDY.encode() not in reply.body
    assert b"P2" not in reply.body
    if "P2" in query or "p2" in query or query == f"?StudyInstanceUID={OTHER_STUDY}":
        assert reply.json == []
    assert "warning" not in reply.headers or OTHER_STUDY not in reply.headers["warning"]


def test_how_many_more_there_are_counts_ones_own(
    believing: Client, lasting_issuer: Issuer, limited: str
) -> None:
    everything = "Bearer " + lasting_issuer.token()
    assert "1 additional" in believing.get("studies?limit=1", Authorization=everything).headers["warning"]
    assert "warning" not in believing.get("studies?limit=1", Authorization=limited).headers


@pytest.mark.parametrize("more", ["", "&contentType=application/dicom", "&frameNumber=1", "&anonymize=yes"])
@pytest.mark.parametrize("place", ["/dicomweb/wado", "/dicomweb", "/wado"])
def test_wado_uri_tells_nothing_of_another_study(
    believing: Client, limited: str, place: str, more: str
) -> None:
    replies = [
        believing.ask(
            f"{place}?requestType=WADO&studyUID={study}&seriesUID={study}.1&objectUID={study}.1.1{more}",
            Authorization=limited,
        )
        for study in (OTHER_STUDY, NO_STUDY)
    ]
    assert without_id(replies[0]) == without_id(replies[1])
    assert replies[0].status in (403, 404)


def test_wado_uri_with_two_studies_is_of_both(believing: Client, limited: str) -> None:
    for first, second in ((STUDY, OTHER_STUDY), (OTHER_STUDY, STUDY)):
        path = (
            f"wado?requestType=WADO&studyUID={first}&studyUID={second}&seriesUID={SERIES}&objectUID={NATIVE}"
        )
        assert believing.get(path, Authorization=limited).status == 403
    odd = f"wado?requestType=WADO&studyUID=../../x&seriesUID={SERIES}&objectUID={NATIVE}"
    assert believing.get(odd, Authorization=limited).status == 403


@pytest.mark.parametrize(
    "path",
    [
        f"studies/{STUDY}/../{OTHER_STUDY}/metadata",
        f"studies/{STUDY}/series/../../{OTHER_STUDY}/metadata",
        f"studies/{STUDY}%2f..%2f{OTHER_STUDY}/metadata",
        f"studies/{STUDY}/%2e%2e/{OTHER_STUDY}/metadata",
        f"studies//{OTHER_STUDY}/metadata",
        f"studies/{OTHER_STUDY}%00/metadata",
        f"studies/{OTHER_STUDY}%20/metadata",
        f"studies/{OTHER_STUDY}./metadata",
        f"./studies/{OTHER_STUDY}/metadata",
        f"studies/{OTHER_STUDY}/metadata/",
        f"STUDIES/{OTHER_STUDY}/metadata",
        f"studies/{STUDY}/series/1.2.4.1/metadata",
        f"studies/{STUDY}/series/1.2.4.1/instances/1.2.4.1.1/metadata",
        f"studies/{STUDY}/bulkdata/../../{OTHER_STUDY}/metadata.gz",
    ],
)
def test_no_way_of_writing_a_path_leads_around(believing: Client, limited: str, path: str) -> None:
    reply = believing.get(path, Authorization=limited)
    assert reply.status >= 400
    assert b"P2" not in reply.body
    assert b"1.2.4.1.1" not in reply.body.split(b'"request"')[0] or reply.status == 404


@pytest.mark.parametrize(
    "who", [{"groups": []}, {"groups": None}, {"groups": ["other"]}, {"groups": {"one": 1}}]
)
def test_who_has_no_right_gets_nothing(
    believing: Client, lasting_issuer: Issuer, who: dict[str, Any]
) -> None:
    header = "Bearer " + lasting_issuer.token(**who)
    for path in ("studies", f"studies/{STUDY}/metadata", f"studies/{NO_STUDY}/metadata", "openapi.json"):
        assert believing.get(path, Authorization=header).status == 403


@pytest.mark.parametrize("studies", [[], "", None, {}, [""], ["all"], ["*"], True, 7])
def test_a_list_of_studies_that_is_empty_or_odd_is_no_study(
    believing: Client, lasting_issuer: Issuer, studies: object
) -> None:
    header = "Bearer " + lasting_issuer.token(groups=[], studies=studies)
    reply = believing.get("studies", Authorization=header)
    assert reply.status == 403 or reply.json == []
    assert believing.get(f"studies/{STUDY}/metadata", Authorization=header).status == 403


def test_rights_add_up(believing: Client, lasting_issuer: Issuer) -> None:
    header = "Bearer " + lasting_issuer.token(groups=["one"], studies=[OTHER_STUDY])
    assert len(believing.get("studies", Authorization=header).json) == 2


# -- What is open, and what is for few ---


def test_health_and_preflights_need_no_login(believing: Client) -> None:
    assert believing.ask("/healthz").status == 200
    asked: dict[str, Any] = {"Origin": "https://x.example", "Access_Control_Request_Method": "GET"}
    asked["Access_Control_Request_Headers"] = "authorization"
    reply = believing.ask(f"/dicomweb/{METADATA}", "OPTIONS", **asked)
    assert reply.status == 204
    assert reply.headers["access-control-allow-headers"] == "authorization"


def test_the_list_of_studies_needs_a_login_and_shows_ones_own(believing: Client, limited: str) -> None:
    assert believing.ask("/").status == 401
    page = believing.ask("/", Authorization=limited).body
    assert b"P1" in page
    assert b"P2" not in page


def test_counts_are_for_who_may_read_everything_and_for_this_machine(
    believing: Client, lasting_issuer: Issuer, limited: str
) -> None:
    assert believing.ask("/metrics").status == 200
    assert believing.ask("/metrics", X_Forwarded_For="203.0.113.7").status == 401
    # Pages that a browser on this machine shows, also under a name that was pointed here.
    assert believing.ask("/metrics", Origin="https://elsewhere.example").status == 401
    assert believing.ask("/metrics", Host="elsewhere.example").status == 401
    assert believing.ask("/metrics", Authorization=limited).status == 403
    assert believing.ask("/metrics", Authorization="Bearer " + lasting_issuer.token()).status == 200


# -- Storing and deleting ---


def stored(client: Client, header: str, data: bytes, study: str | None = None) -> Reply:
    path = "/dicomweb/studies" + (f"/{study}" if study is not None else "")
    return client.ask(path, "POST", data, Authorization=header, Content_Type="application/dicom")


def failures(reply: Reply) -> list[int]:
    """The reasons of those that were not stored."""
    return [item["00081197"]["Value"][0] for item in reply.json.get("00081198", {}).get("Value", [])]


def test_nobody_stores_or_deletes_without_the_right(guarded: StartGuarded, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "archive").root
    reader = TokenOptions("reader", static("r"), (Right.READ,))
    writer = TokenOptions("writer", static("w"), (Right.STORE,))
    client = guarded(AuthOptions(tokens=(reader, writer)), root, delete=True)
    data = factories.instance()
    assert stored(client, "Bearer r", data).status == 403
    assert stored(client, "Bearer w", data).status == 200
    assert client.ask(f"/dicomweb/studies/{STUDY}", "DELETE", Authorization="Bearer r").status == 403
    assert client.ask(f"/dicomweb/studies/{STUDY}", "DELETE", Authorization="Bearer w").status == 403
    assert client.get("studies", Authorization="Bearer w").status == 403
    assert client.get(f"studies/{STUDY}/metadata", Authorization="Bearer r").status == 200


def test_who_may_delete_one_study_deletes_no_other(
    guarded: StartGuarded, issuer: Issuer, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "archive").root
    client = guarded(AuthOptions(oidc=oidc(issuer), rules=RULES), root, delete=True)
    header = "Bearer " + issuer.token(groups=["one"])
    for study in (OTHER_STUDY, NO_STUDY):
        for path in (f"studies/{study}", f"studies/{study}/series/{study}.1"):
            assert client.ask(f"/dicomweb/{path}", "DELETE", Authorization=header).status == 403
    assert len(client.get("studies", Authorization="Bearer " + issuer.token()).json) == 2


def test_an_instance_of_another_study_is_not_stored_and_others_are(
    guarded: StartGuarded, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "archive").root
    mine = factories.uid("study", "mine")
    named = TokenOptions("named", static("n"), (Right.STORE, Right.READ), (mine,))
    client = guarded(AuthOptions(tokens=(named,)), root)
    parts = [factories.instance(study="mine"), factories.instance(study="theirs")]
    body = b"".join(b"--x\r\nContent-Type: application/dicom\r\n\r\n" + part + b"\r\n" for part in parts)
    reply = client.ask(
        "/dicomweb/studies",
        "POST",
        body + b"--x--\r\n",
        Authorization="Bearer n",
        Content_Type='multipart/related; type="application/dicom"; boundary=x',
    )
    assert reply.status == 202
    assert failures(reply) == [Reason.NOT_AUTHORIZED]
    assert [entry["0020000D"]["Value"] for entry in client.get("studies", Authorization="Bearer n").json] == [
        [mine]
    ]


def test_conditions_hold_for_what_is_stored_and_for_the_study_that_is_there(
    guarded: StartGuarded, tmp_path: Path
) -> None:
    """A study cannot be brought into one's own by sending an instance that says so."""
    root = make_tree(tmp_path / "archive").root
    everything = TokenOptions("all", static("a"), (Right.STORE, Right.READ))
    of_p1 = TokenOptions("p1", static("p"), (Right.STORE, Right.READ), {"PatientID": "P1"})
    client = guarded(AuthOptions(tokens=(everything, of_p1)), root)
    theirs = factories.uid("study", "theirs")
    assert stored(client, "Bearer a", factories.instance(study="theirs", PatientID="P2")).status == 200
    for study in (None, theirs):
        reply = stored(client, "Bearer p", factories.instance(study="theirs", seed=2, PatientID="P1"), study)
        assert (reply.status, failures(reply)) == (409, [Reason.NOT_AUTHORIZED])
        again = stored(client, "Bearer p", factories.instance(study="theirs", PatientID="P2"), study)
        assert (again.status, failures(again)) == (409, [Reason.NOT_AUTHORIZED])
    assert client.get(f"studies/{theirs}/metadata", Authorization="Bearer p").status == 403
    new = factories.uid("study", "new")
    assert failures(stored(client, "Bearer p", factories.instance(study="new", PatientID="P3"))) == [0x0124]
    assert stored(client, "Bearer p", factories.instance(study="new", PatientID="P1"), new).status == 200
    assert client.get(f"studies/{new}/metadata", Authorization="Bearer p").status == 200


def test_what_one_may_not_see_is_not_added_to(guarded: StartGuarded, issuer: Issuer, tmp_path: Path) -> None:
    """Who may store anything, and read some, does not add to what is hidden from them."""
    root = make_tree(tmp_path / "archive").root
    rules = (
        RuleOptions("sub", (Right.STORE,), studies="all"),
        RuleOptions("groups", (Right.READ,), ("some",), studies={"PatientID": "P1"}),
    )
    client = guarded(AuthOptions(oidc=oidc(issuer), rules=rules), root)
    writer, both = ("Bearer " + issuer.token(groups=groups) for groups in ([], ["some"]))
    assert stored(client, writer, factories.instance(study="theirs", PatientID="P2")).status == 200
    reply = stored(client, both, factories.instance(study="theirs", seed=2, PatientID="P2"))
    assert (reply.status, failures(reply)) == (409, [Reason.NOT_AUTHORIZED])
    assert stored(client, writer, factories.instance(study="theirs", seed=2, PatientID="P2")).status == 200
