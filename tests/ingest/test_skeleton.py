"""Skeletons: what puts a file together again survives being written."""

from typing import Any

import pytest

from staticwado.dicom.pixels import ImagePixel
from staticwado.dicom.sources import Span
from staticwado.errors import StoreUnavailable
from staticwado.ingest.skeleton import Skeleton, Transcoded, parse_skeleton, transcoded_of


def test_neighbours_are_joined() -> None:
    skeleton = Skeleton("0" * 64, 100)
    skeleton.add_raw(b"ab")
    skeleton.add_raw(b"c")
    for number in (1, 2, 3, 5):
        skeleton.add_frame(number)
    skeleton.add_frame_part(6, Span(0, 10))
    skeleton.add_bulkdata("aa/bb.bin", 7)
    skeleton.add_raw(b"")
    skeleton.add_raw(b"d")
    assert skeleton.parts == [
        3,
        ["frames", 1, 3],
        ["frames", 5, 5],
        ["frame", 6, 0, 10],
        ["bulkdata", "aa/bb.bin", 7],
        1,
    ]
    assert bytes(skeleton.raw) == b"abcd"


def test_a_skeleton_survives_being_written() -> None:
    skeleton = Skeleton(
        "0" * 64, 5, [2, ["frames", 1, 1]], bytearray(b"\n{"), {"swap": 2, "bits": 16, "length": 2}
    )
    assert parse_skeleton(skeleton.to_bytes()) == skeleton


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"[]\n", b"{}\n", b'{"version":2}\n', b"\xff\n", b"null\n", b'{"version":1}\nxx']
)
def test_a_damaged_skeleton_is_said_to_be(data: bytes) -> None:
    with pytest.raises(StoreUnavailable):
        parse_skeleton(data)


TRANSCODED = Transcoded("1.2.840.10008.1.2.4.202", ImagePixel(3, 5, 3, "RGB", 1, 16, 12, 11, 1))


def test_how_frames_were_transcoded_survives_being_written() -> None:
    kept = {"count": 2, "sha256": "1" * 64}
    skeleton = Skeleton("0" * 64, 5, form={"transcoded": TRANSCODED.to_form()}, kept=kept)
    found = parse_skeleton(skeleton.to_bytes())
    assert found == skeleton
    assert transcoded_of(found.form) == TRANSCODED


def test_frames_that_were_not_transcoded_have_no_form_of_it() -> None:
    assert transcoded_of({}) is None
    assert transcoded_of({"swap": 2, "bits": 16, "length": 2}) is None


@pytest.mark.parametrize(
    "damage",
    [{"rows": "3"}, {"rows": None}, {"syntax": 1}, {"syntax": "1.2.3"}, {"photometric": 7}, {"stored": True}],
)
def test_a_damaged_form_is_said_to_be(damage: dict[str, Any]) -> None:
    with pytest.raises(StoreUnavailable, match="transcoded"):
        transcoded_of({"transcoded": {**TRANSCODED.to_form(), **damage}})
    for name in damage:
        form = TRANSCODED.to_form()
        del form[name]
        with pytest.raises(StoreUnavailable):
            transcoded_of({"transcoded": form})
    with pytest.raises(StoreUnavailable):
        transcoded_of({"transcoded": []})
