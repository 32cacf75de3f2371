"""Skeletons: what puts a file together again survives being written."""

import pytest

from staticwado.dicom.sources import Span
from staticwado.errors import StoreUnavailable
from staticwado.ingest.skeleton import Skeleton, parse_skeleton


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
