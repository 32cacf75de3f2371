from collections.abc import Iterable, Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from staticwado.dicomweb.multipart_reader import (
    LONGEST_HEADER,
    Event,
    MultipartReader,
    PartBytes,
    PartEnd,
    PartStart,
)
from staticwado.errors import BadRequest

Part = tuple[Mapping[str, str], bytes]


def parts_of(chunks: Iterable[bytes], boundary: str = "EOF") -> list[Part]:
    """The parts of a whole body; every part that begins must end."""
    reader = MultipartReader(boundary)
    events: list[Event] = []
    for chunk in chunks:
        events += reader.feed(chunk)
    events += reader.finish()
    found: list[tuple[Mapping[str, str], bytearray]] = []
    whole = 0
    for event in events:
        if isinstance(event, PartStart):
            assert len(found) == whole
            found.append((event.headers, bytearray()))
        elif isinstance(event, PartBytes):
            assert event.data
            found[-1][1].extend(event.data)
        else:
            assert isinstance(event, PartEnd)
            whole += 1
    assert len(found) == whole == reader.parts
    return [(headers, bytes(data)) for headers, data in found]


def body(*parts: bytes, boundary: bytes = b"EOF", line: bytes = b"\r\n") -> bytes:
    pieces = [
        line + b"--" + boundary + line + b"Content-Type: application/dicom" + line + line + part
        for part in parts
    ]
    return b"".join(pieces) + line + b"--" + boundary + b"--"


def test_parts_are_given_with_their_headers_and_bytes() -> None:
    [(headers, data)] = parts_of([body(b"one")])
    assert headers == {"content-type": "application/dicom"}
    assert data == b"one"


@pytest.mark.parametrize(
    "whole",
    [
        pytest.param(body(b"one", b"two"), id="an empty line before, no line end after"),
        pytest.param(body(b"one", b"two")[2:], id="the boundary is the first thing"),
        pytest.param(body(b"one", b"two") + b"\r\n", id="a line end after"),
        pytest.param(b"This is MIME.\r\n--EO\r\n" + body(b"one", b"two")[2:] + b"\r\nbye", id="text around"),
        pytest.param(body(b"one", b"two", line=b"\n"), id="lines end in LF"),
        pytest.param(body(b"one", b"two").replace(b"EOF\r", b"EOF \t\r"), id="blanks behind the boundaries"),
        pytest.param(
            b"--EOF\r\nContent-Type: application/dicom\n\none\r\n--EOF\r\n"
            b"content-type :application/dicom\r\n\r\ntwo\r\n--EOF--",
            id="header lines end in LF",
        ),
        pytest.param(
            b"--EOF\r\nContent-Type:\r\n application/dicom\r\n\r\none\r\n--EOF\r\n"
            b"Content-Type: application/dicom\r\n\r\ntwo\r\n--EOF--",
            id="a folded header line",
        ),
    ],
)
def test_what_writers_do_differently_is_read_the_same(whole: bytes) -> None:
    expected = [({"content-type": "application/dicom"}, data) for data in (b"one", b"two")]
    assert parts_of([whole]) == expected
    assert parts_of(bytes([byte]) for byte in whole) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"\r\n\r\n",
        b"\r",
        b"\n--EOF\r\n",
        b"--EOF",
        b"x\r\n--EO\r\n--",
        b"\r\n--EOFX\r\n",
        b"\r\n--EOF--x",
        b"\r\n--EOF-",
        b"\r\n--EOF\n",
        b"\r\r\n--EOFa\r\r\n",
        b"\r\n--EOF" + b" " * 129 + b"\r\n",
    ],
)
def test_what_looks_like_a_boundary_is_part_of_the_body(data: bytes) -> None:
    whole = body(data, b"x" + data, b"two")
    expected = [data, b"x" + data, b"two"]
    if data.startswith(b"--EOF"):
        expected = expected[1:]
        whole = body(b"x" + data, b"two")
    assert [found for _, found in parts_of([whole])] == expected
    assert [found for _, found in parts_of(bytes([byte]) for byte in whole)] == expected


def test_a_part_may_have_no_header_and_no_body() -> None:
    assert parts_of([b"--EOF\r\n\r\none\r\n--EOF\r\nA: b\r\n\r\n--EOF\r\n\r\n--EOF--"]) == [
        ({}, b"one"),
        ({"a": "b"}, b""),
        ({}, b""),
    ]


@pytest.mark.parametrize(
    ("whole", "message"),
    [
        (b"", "holds no part"),
        (b"\r\n--EOF--\r\n", "holds no part"),
        (b"no boundary at all", "holds no part"),
        (b"--OTHER\r\n\r\none\r\n--OTHER--", "holds no part"),
        (b"--EOF\r\n", "ends inside part 1"),
        (b"--EOF\r\nContent-Type: a/b", "ends inside part 1"),
        (body(b"one", b"two")[:-4], "ends inside part 2"),
        (body(b"one", b"two")[:-2], "ends inside part 2"),
        (body(b"one", b"two")[:-1], "ends inside part 2"),
        (b"--EOF\r\nno field\r\n\r\none\r\n--EOF--", "part 1 has a line that is no field"),
        (b"--EOF\r\nA: " + b"x" * LONGEST_HEADER + b"\r\n\r\n\r\n--EOF--", "longer than 16384 bytes"),
        (b"--EOF\r\n" + b"A: b\r\n" * 65 + b"\r\n\r\n--EOF--", "more than 64 fields"),
    ],
)
def test_a_body_that_is_no_multipart_is_refused(whole: bytes, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        parts_of([whole])
    with pytest.raises(BadRequest, match=message):
        parts_of(bytes([byte]) for byte in whole)


def test_no_value_of_a_header_becomes_another_field() -> None:
    """Ends of lines that Unicode knows and MIME does not; the older controls are in no header at all."""
    for mark in ("\x85", "\xa0"):
        head = f"Content-Location: a{mark}Content-Type: text/html".encode("latin-1")
        [(headers, _)] = parts_of([b"--EOF\r\n" + head + b"\r\n\r\none\r\n--EOF--"])
        assert headers == {"content-location": f"a{mark}Content-Type: text/html"}
    for control in b"\0\x0b\x0c\r\x1c\x1d\x1e\x7f":
        head = b"A: a" + bytes([control]) + b"Content-Type: text/html"
        with pytest.raises(BadRequest, match="no field"):
            parts_of([b"--EOF\r\n" + head + b"\r\n\r\none\r\n--EOF--"])


@pytest.mark.parametrize("boundary", ["", "x" * 201, "ü", "a\r\nb", "a "])
def test_what_can_be_no_boundary_is_refused(boundary: str) -> None:
    with pytest.raises(BadRequest, match="boundary"):
        MultipartReader(boundary)


def test_no_more_is_held_than_a_delimiter() -> None:
    reader = MultipartReader("EOF")
    list(reader.feed(b"--EOF\r\n\r\n"))
    seen = 0
    for _ in range(100):
        seen += sum(len(one.data) for one in reader.feed(b"\r\n--EO" * 1000) if isinstance(one, PartBytes))
        assert reader.held < 16
    for _ in range(100):
        list(MultipartReader("EOF").feed(b"preamble " * 1000))
    assert seen >= 600_000 - 16


_SPLINTERS = st.sampled_from(
    [b"\r", b"\n", b"\r\n", b"-", b"--", b"EOF", b"--EOF", b" ", b"a", b"\0", b"A: b"]
)
_BYTES = st.lists(_SPLINTERS, max_size=24).map(b"".join)


@st.composite
def _cut(draw: st.DrawFn, bodies: st.SearchStrategy[bytes]) -> tuple[bytes, list[bytes]]:
    whole = draw(bodies)
    cuts = sorted(draw(st.sets(st.integers(0, len(whole)), max_size=12)))
    return whole, [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]


def _result(chunks: list[bytes]) -> list[Part] | str:
    try:
        return parts_of(chunks)
    except BadRequest as error:
        return str(error)


@given(_cut(_BYTES.map(lambda data: b"--EOF\r\n" + data)))
@example((b"--EOF\n\r\n\n--EOF--", [b"--EOF\n\r", b"\n\n--EOF--"]))
def test_any_split_of_any_bytes_gives_the_same(case: tuple[bytes, list[bytes]]) -> None:
    whole, chunks = case
    assert _result(chunks) == _result([whole])


@given(st.lists(st.binary(max_size=64) | _BYTES, min_size=1, max_size=5), st.data())
def test_what_is_joined_is_read_back(datas: list[bytes], data: st.DataObject) -> None:
    boundary = "a-boundary-that-occurs-in-no-part"
    whole = body(*datas, boundary=boundary.encode())
    _, chunks = data.draw(_cut(st.just(whole)))
    assert [found for _, found in parts_of(chunks, boundary)] == datas
