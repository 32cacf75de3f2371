"""The table of places: every key and its resource, hostile keys, and where relative URIs point."""

import json
from dataclasses import replace
from urllib.parse import urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staticwado import layout
from staticwado.dicom.transfer_syntax import FRAME_SUFFIXES
from staticwado.dicomweb.resource import Resource, View, format_path

HEX = "0123456789abcdef"
UIDS = st.from_regex(r"[0-9]{1,9}(\.[0-9]{1,9}){0,5}", fullmatch=True)
ADDRESSES = st.builds(
    layout.bulkdata_id, st.text(HEX, min_size=64, max_size=64), st.sampled_from(sorted(layout.BULKDATA_TYPES))
)
STUDY, SERIES, INSTANCE = "1.2", "1.2.3", "1.2.3.4"


@st.composite
def resources(draw: st.DrawFn) -> Resource:
    """Resources that are stored, at every level."""
    study, series, instance = draw(UIDS), draw(UIDS), draw(UIDS)
    whole = Resource(View.METADATA, study, series, instance)
    number = draw(st.integers(1, 9_999_999_999))
    return draw(
        st.sampled_from(
            [
                Resource(View.MARKER),
                Resource(View.STUDIES),
                *(Resource(view, study) for view in (View.INDEX, View.SERIES, View.DEDUPLICATED)),
                *(Resource(view, study) for view in (View.METADATA, View.THUMBNAIL)),
                Resource(View.BULKDATA, study, bulkdata=draw(ADDRESSES)),
                *(Resource(view, study, series) for view in (View.METADATA, View.THUMBNAIL, View.INSTANCES)),
                *(replace(whole, view=view) for view in (View.METADATA, View.THUMBNAIL, View.SKELETON)),
                replace(
                    whole,
                    view=View.FRAMES,
                    frames=(number,),
                    rendition=draw(st.sampled_from(sorted(FRAME_SUFFIXES))),
                ),
            ]
        )
    )


@given(resources())
def test_each_key_leads_back_to_its_resource_and_each_resource_to_its_key(resource: Resource) -> None:
    stored = layout.stored_as(resource)
    found = layout.resource_of(stored.key)
    assert found == resource
    assert layout.stored_as(found).key == stored.key
    assert stored in list(layout.candidates(resource))
    assert (stored.encoding == "gzip") == stored.key.endswith(".gz")


@given(resources())
def test_the_name_alone_says_how_the_bytes_are_labelled(resource: Resource) -> None:
    stored = layout.stored_as(resource)
    last = stored.key.rsplit("/", 1)[-1]
    assert last.endswith(".mht") == stored.media_type.startswith("multipart/related")
    assert last.endswith(".jpg") <= (stored.media_type == "image/jpeg")


@given(
    st.builds(
        lambda view, uids, *rest: Resource(view, *(*uids, None, None, None)[:3], *rest),
        st.sampled_from(View),
        st.lists(UIDS, max_size=3),
        st.sampled_from([(), (1,), (1, 2)]),
        st.one_of(st.none(), ADDRESSES, st.just(f"ab/{'c' * 62}.exe")),
        st.sampled_from([None, "", "jls", "exe", "../x"]),
    )
)
def test_a_resource_has_a_key_that_leads_back_or_none_at_all(resource: Resource) -> None:
    try:
        key = layout.stored_as(resource).key
    except ValueError:
        return
    found = layout.resource_of(key)
    assert found is not None
    assert layout.stored_as(found).key == key


_HOSTILE = [
    "",
    "/",
    "studies",
    "studies/",
    "studies/index.json",
    "studies//index.json.gz",
    "studies/../staticwado.json",
    "studies/1.2/../index.json.gz",
    "studies/1..2/index.json.gz",
    "studies/1.2./metadata.gz",
    "studies/1.2\n/metadata.gz",
    "studies/1.2/metadata.gz\n",
    "studies/1.2/metadata.gz/",
    "studies/1.2/skeleton.gz",
    "studies/1.2/series/1.3/index.json.gz",
    "studies/1.2/series/1.3/skeleton.gz",
    "studies/1.2/series/1.3/instances/1.4/index.json.gz",
    "studies/1.2/series/1.3/instances/1.4/frames/0.mht",
    "studies/1.2/series/1.3/instances/1.4/frames/01.mht",
    "studies/1.2/series/1.3/instances/1.4/frames/1,2.mht",
    "studies/1.2/series/1.3/instances/1.4/frames/1.exe.mht",
    "studies/1.2/series/1.3/instances/1.4/frames/1..mht",
    "studies/1.2/series/1.3/instances/1.4/frames/1.mht\n",
    "studies/1.2/series/1.3/instances/1.4/frames/\u0661.mht",
    "studies/" + "1" * 65 + "/metadata.gz",
    "studies/\u0661.2/metadata.gz",
    f"studies/1.2/bulkdata/ab/{'c' * 62}.exe",
    f"studies/1.2/bulkdata/AB/{'c' * 62}.bin",
    f"studies/1.2/bulkdata/ab/{'c' * 61}.bin",
    f"studies/1.2/bulkdata/../{'c' * 62}.bin",
    ".staticwado/sources.sqlite",
    "../staticwado.json",
    "staticwado.json/",
    "STATICWADO.JSON",
]


@pytest.mark.parametrize("key", _HOSTILE)
def test_hostile_keys_are_no_resources(key: str) -> None:
    assert layout.resource_of(key) is None


@given(st.text(max_size=60), resources(), st.integers(0, 200))
def test_a_key_that_was_tampered_with_is_none_or_leads_back_to_itself(
    text: str, resource: Resource, at: int
) -> None:
    whole = layout.stored_as(resource).key
    at = min(at, len(whole))
    for key in (text, whole[:at] + text + whole[at:], whole[:at] + text):
        found = layout.resource_of(key)
        assert found is None or layout.stored_as(found).key == key


def test_candidates_of_frames_are_all_renditions_and_of_what_is_never_stored_none() -> None:
    frame = Resource(View.FRAMES, STUDY, SERIES, INSTANCE, (3,))
    assert [stored.key.rsplit("/", 1)[1] for stored in layout.candidates(frame)] == [
        layout.frame_name(3, suffix) for suffix in FRAME_SUFFIXES
    ]
    for view in (View.PART10, View.PIXELDATA, View.RENDERED):
        assert list(layout.candidates(Resource(view, STUDY, SERIES, INSTANCE))) == []
    assert list(layout.candidates(replace(frame, frames=(1, 2)))) == []
    assert list(layout.candidates(Resource(View.METADATA))) == []


@given(
    UIDS,
    UIDS,
    UIDS,
    st.lists(st.one_of(ADDRESSES, st.just("")), max_size=4),
    st.sampled_from(["", "/dicomweb", "/a/b"]),
)
def test_uris_point_to_the_same_place_from_every_level(
    study: str, series: str, instance: str, addresses: list[str], prefix: str
) -> None:
    uris = [layout.bulkdata_uri(address) if address else layout.PIXELDATA_URI for address in addresses]
    elements = {
        f"0009{0x1000 + number:04X}": {"vr": "OB", "BulkDataURI": uri} for number, uri in enumerate(uris)
    }
    text = {
        "vr": "LT",
        "Value": ['{"BulkDataURI":"pixeldata"}', '"BulkDataURI":"../../../../bulkdata/', "BulkDataURI"],
    }
    nested = {"vr": "SQ", "Value": [elements]}
    metadata = json.dumps({**elements, "00104000": text, "0040A730": nested}, separators=(",", ":")).encode()
    resource = Resource(View.METADATA, study, series, instance)
    base = f"http://host{prefix}/"
    own = _resolved(metadata, base + format_path(resource))
    in_series = layout.rebase(metadata, resource, to_study=False)
    in_study = layout.rebase(metadata, resource, to_study=True)
    assert _resolved(in_series, base + format_path(replace(resource, instance=None))) == own
    assert _resolved(in_study, base + format_path(replace(resource, instance=None, series=None))) == own
    for found in own:
        path = found.removeprefix(base)
        assert path.startswith(f"studies/{study}/")
        assert "/bulkdata/" in path or path == format_path(replace(resource, view=View.PIXELDATA))
    assert json.loads(in_study)["00104000"] == text


def _resolved(metadata: bytes, url: str) -> list[str]:
    found: list[str] = []

    def visit(node: object) -> None:
        if isinstance(node, dict):
            for name, value in node.items():
                if name == "BulkDataURI":
                    found.append(urljoin(url, value))
                else:
                    visit(value)
        elif isinstance(node, list):
            for value in node:
                visit(value)

    visit(json.loads(metadata))
    return found


@pytest.mark.parametrize(
    ("media_type", "suffix"),
    [
        ("application/pdf", "pdf"),
        (" Application/PDF ; x=1", "pdf"),
        ("", "bin"),
        (None, "bin"),
        ("../../x", "bin"),
    ],
)
def test_bulkdata_have_the_suffix_of_their_media_type(media_type: str | None, suffix: str) -> None:
    assert layout.bulkdata_suffix(media_type) == suffix


def test_retrieve_urls_are_relative_to_the_list_that_holds_them() -> None:
    study = Resource(View.METADATA, STUDY)
    base = "http://host/dicomweb/"
    for resource, listed in (
        (study, "studies"),
        (replace(study, series=SERIES), f"studies/{STUDY}/series"),
        (replace(study, series=SERIES, instance=INSTANCE), f"studies/{STUDY}/series/{SERIES}/instances"),
    ):
        wanted = base + format_path(replace(resource, view=View.PART10))
        assert urljoin(base + listed, layout.retrieve_url(resource)) == wanted
