"""The factory of test files against two readers that did not write them."""

import io
import struct
from pathlib import Path

import pydicom
import pytest

from tests import factories
from tests.truth.frames import expected_frames
from tests.truth.part10 import Unreadable, read, walk

BITS = (1, 8, 16, 32)


@pytest.mark.parametrize("syntax", factories.NATIVE)
@pytest.mark.parametrize("bits", BITS)
def test_native_frames_come_back_from_every_transfer_syntax(syntax: str, bits: int) -> None:
    frames = factories.pixels(3, 5, 3, bits=bits)
    dataset = read(factories.instance(syntax=syntax, frames=frames, rows=3, columns=5, bits=bits))
    found = expected_frames(dataset)
    assert found is not None
    assert [frame.data for frame in found.frames] == frames
    assert found.syntax == factories.EXPLICIT


@pytest.mark.parametrize("syntax", factories.NATIVE)
def test_pydicom_reads_what_was_asked_for(syntax: str) -> None:
    data = factories.instance(
        syntax=syntax,
        PatientWeight="070.50",
        SmallestImagePixelValue=7,
        extra=[
            factories.sequence(
                "ReferencedImageSequence",
                [factories.element("ReferencedSOPInstanceUID", "1.2.3")],
                [],
                undefined=True,
                undefined_items=True,
            ),
            *factories.private(0x0019, 0x10, "ACME", (0x01, "US", [1, 2])),
        ],
    )
    dataset = pydicom.dcmread(io.BytesIO(data))
    assert dataset.PatientWeight.original_string == "070.50"
    assert dataset.SmallestImagePixelValue == 7
    assert [len(item) for item in dataset.ReferencedImageSequence] == [1, 0]
    if syntax != factories.IMPLICIT:
        assert dataset[0x00191001].value == [1, 2]


@pytest.mark.parametrize("offsets", ["basic", "empty", "extended"])
@pytest.mark.parametrize("fragments", [1, 3])
def test_codestreams_come_back_whatever_the_offset_table(offsets: str, fragments: int) -> None:
    streams = [factories.codestream(size) for size in (96, 50, 7)]
    data = factories.instance(
        syntax=factories.JPEG_LOSSLESS, frames=streams, offsets=offsets, fragments=fragments
    )
    found = expected_frames(read(data))
    assert found is not None
    assert all(frame.is_right(stream) for frame, stream in zip(found.frames, streams, strict=True))
    assert found.media_type == "image/jpeg"


def test_deflated_frames_are_inflated() -> None:
    frames = factories.pixels(4, 4, 2)
    found = expected_frames(read(factories.instance(syntax=factories.DEFLATED_FRAMES, frames=frames)))
    assert found is not None
    assert [frame.data for frame in found.frames] == frames


def test_big_values_have_the_length_that_was_asked_for() -> None:
    dataset = read(factories.with_big_values(70_000))
    assert len(dataset.nodes[0x00091007].raw) == 70_000
    assert struct.unpack("<d", dataset.nodes[0x00091009].raw[8:16]) == (1 / 3,)


@pytest.mark.parametrize("undefined", [True, False])
def test_sequences_nest_as_deep_as_asked(undefined: bool) -> None:
    inner = [factories.element("PatientID", "deep")]
    data = factories.instance(raw=factories.nested(100, undefined=undefined, inner=inner))
    assert [node.raw for node in walk(read(data)) if node.tag == 0x00100020] == [b"P1", b"deep"]
    assert factories.nested(2_000, undefined=undefined).count(b"\x40\x00\x30\xa7") == 2_000


def test_faults_are_in_the_bytes() -> None:
    assert not factories.instance(preamble=False).startswith(b"\0" * 128)
    assert b"DICM" not in factories.instance(preamble=False, meta=False)
    long = factories.instance(extra=[factories.element("PatientID", "x", length=60_000)])
    with pytest.raises(Unreadable):
        read(long)


def test_the_same_call_gives_the_same_bytes(tmp_path: Path) -> None:
    assert factories.with_big_values() == factories.with_big_values()
    assert factories.uid("a") != factories.uid("b")
    assert len(factories.uid("a")) <= 64
