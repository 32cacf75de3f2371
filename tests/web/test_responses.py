"""What an error means in HTTP, and the pieces of which a body is cut."""

import inspect
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staticwado import errors
from staticwado.errors import NotFound, StaticWadoError, StoreUnavailable
from staticwado.store.local import Stat
from staticwado.web.answer import Span, cut, piece_length
from staticwado.web.responses import STATUSES, read_span, status_of

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, StaticWadoError)]


@pytest.mark.parametrize("kind", ALL)
def test_every_error_has_a_status(kind: type[StaticWadoError]) -> None:
    assert kind in STATUSES
    assert 400 <= STATUSES[kind] < 600


def test_a_new_kind_of_error_takes_the_status_of_its_base() -> None:
    class Gone(NotFound):
        pass

    assert status_of(Gone("x")) == 404


def test_what_could_not_be_read_is_never_not_found() -> None:
    assert status_of(StoreUnavailable("x")) == 503


STAT = Stat(100, 1, 1)


def flat(pieces: tuple[bytes | Span, ...]) -> bytes:
    """The body that pieces stand for; byte n of a file is n."""
    whole = bytes(range(100))
    return b"".join(
        piece if isinstance(piece, bytes) else whole[piece.offset : piece.offset + piece.length]
        for piece in pieces
    )


PIECES = st.lists(
    st.one_of(
        st.binary(max_size=5),
        st.builds(
            lambda offset, length: Span("f", offset, length, STAT), st.integers(0, 90), st.integers(0, 10)
        ),
    ),
    max_size=6,
).map(tuple)


@given(PIECES, st.integers(0, 60), st.integers(0, 60))
def test_a_cut_body_is_the_same_stretch_of_the_whole(
    pieces: tuple[bytes | Span, ...], first: int, second: int
) -> None:
    start, stop = sorted((first, second))
    found = tuple(cut(pieces, start, stop))
    assert flat(found) == flat(pieces)[start:stop]
    assert all(piece_length(piece) for piece in found)


def test_a_file_that_was_replaced_is_not_mixed_in(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_bytes(b"new bytes")
    with pytest.raises(StoreUnavailable, match="replaced"):
        read_span(Span(str(place), 0, 3, Stat(9, 0, 0)))


def test_a_file_that_has_gone_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        read_span(Span(str(tmp_path / "file"), 0, 3, STAT))
