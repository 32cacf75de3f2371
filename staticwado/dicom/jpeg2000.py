"""How a JPEG 2000 codestream is built, read from its markers before it is decoded (ITU-T T.800 annex A).

A decoder keeps a record for each tile, precinct and code-block, however small the codestream makes them, and
takes one that lacks tile-parts for whole.
One rule: nothing here is decoded.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from staticwado.errors import BrokenDicom

_COD, _COC, _SOT, _SOD, _EOC = 0x52, 0x53, 0x90, 0x93, b"\xff\xd9"

_TILE_BYTES, _PRECINCT_BYTES, _BLOCK_BYTES = 8192, 2048, 320
"""What OpenJPEG 2.5 keeps for each, measured with the smallest that there are."""
_CODING_STYLES = 256
"""Different ones; a codestream has one for all components and tiles, or a few."""


@dataclass(frozen=True, slots=True)
class TilePart:
    """One tile-part (T.800 A.4.2)."""

    tile: int
    of: int
    """How many tile-parts the tile has; 0 where this one does not say."""
    end: int
    """Where the next one should begin; past the data where the codestream is cut."""


@dataclass(frozen=True, slots=True)
class Structure:
    """The tile-parts of a codestream, and the bytes, about, that decoding it takes beside its samples."""

    tiles: int
    tile_parts: tuple[TilePart, ...]
    bookkeeping: int

    @property
    def end(self) -> int:
        """Where the last tile-part ends."""
        return self.tile_parts[-1].end if self.tile_parts else 0

    @property
    def is_counted(self) -> bool:
        """Whether every tile says how many tile-parts it has."""
        return len({part.tile for part in self.tile_parts if part.of}) == self.tiles


def structure(data: bytes) -> Structure:
    """Read a codestream that begins with whole SOC and SIZ segments (`codestream.jpeg2000_codestream`).

    Raises BrokenDicom where tiles have no size, or tiles or tile-parts are missing.
    """
    right, bottom, _, _, wide, high, left, top = (
        int.from_bytes(data[place : place + 4]) for place in range(8, 40, 4)
    )
    if not wide or not high:
        raise BrokenDicom("JPEG 2000 frame has tiles without size in its SIZ segment")
    tiles = -(-max(right - left, 0) // wide) * -(-max(bottom - top, 0) // high)
    if not tiles:
        raise BrokenDicom("JPEG 2000 frame has no tiles in its SIZ segment")
    parts: list[TilePart] = []
    coding: set[bytes] = set()
    place = 2
    while (part := _read_tile_part(data, place, parts, coding)) is not None:
        parts.append(part)
        place = part.end
        if len(coding) > _CODING_STYLES:
            raise BrokenDicom(f"JPEG 2000 frame has more than {_CODING_STYLES} coding styles")
    components = int.from_bytes(data[40:42])
    costs = [_bookkeeping(style, right, bottom) * components for style in coding]
    _check_parts(parts, tiles)
    return Structure(tiles, tuple(parts), tiles * _TILE_BYTES + max(costs, default=0))


def mended(data: bytes, found: Structure) -> bytes:
    """`data` with EOC right after the last tile-part, where it is missing or only comes after something else.

    Kakadu 5 pads with a COM segment there; OpenJPEG then asks for another tile-part. Left as it is unless the
    codestream says how many tile-parts it has, and they are there.
    """
    end = found.end
    if not found.is_counted or end > len(data) or data[end : end + 2] == _EOC:
        return data
    return data[:end] + _EOC


def _markers(data: bytes, place: int) -> Iterator[tuple[int, bytes, int]]:
    """(code, parameters, place) of the marker segments from `place` on, until SOD or what is none."""
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != _SOD:
        end = place + 2 + max(int.from_bytes(data[place + 2 : place + 4]), 2)
        yield data[place + 1], data[place + 4 : end], place
        place = end


def _read_tile_part(data: bytes, place: int, before: list[TilePart], coding: set[bytes]) -> TilePart | None:
    """The tile-part at `place` or, the first, behind the main header; `coding` gets its coding styles."""
    part = None
    for code, body, start in _markers(data, place):
        if code == _SOT:
            if part is not None or len(body) < 8:
                break
            length = int.from_bytes(body[2:6]) or len(data) - start
            if length < 12:
                raise BrokenDicom(f"JPEG 2000 frame has a tile-part of {length} bytes")
            part = TilePart(int.from_bytes(body[:2]), body[7], start + length)
        elif part is None and before:
            break
        elif code == _COD and len(body) >= 10:
            coding.add(body[:1] + body[5:])
        elif code == _COC and len(body) >= 7:
            # With 257 components or more the number of the component takes two bytes; no image here has them.
            coding.add(body[1:])
    return part


def _check_parts(parts: list[TilePart], tiles: int) -> None:
    there = Counter(part.tile for part in parts)
    if len(there) < tiles:
        raise BrokenDicom(f"JPEG 2000 frame has {len(there)} of its {tiles} tiles")
    for part in parts:
        if there[part.tile] < part.of:
            raise BrokenDicom(
                f"JPEG 2000 frame has {there[part.tile]} of the {part.of} tile-parts of tile {part.tile}"
            )


def _bookkeeping(style: bytes, columns: int, rows: int) -> int:
    """Bytes for the precincts and code-blocks of one component, by its coding style (T.800 A.6.1)."""
    levels = min(style[1], 32)
    block = [1 << min((size & 15) + 2, 10) for size in style[2:4]]
    total = 0
    for level in range(levels + 1):
        size = style[6 + level] if style[0] & 1 and len(style) > 6 + level else 0xFF
        precinct = [1 << (size & 15), 1 << (size >> 4)]
        extent = [-(-side // (1 << (levels - level))) for side in (columns, rows)]
        precincts = -(-extent[0] // precinct[0]) * -(-extent[1] // precinct[1])
        halved = [max(side // 2, 1) if level else side for side in precinct]
        cell = min(block[0], halved[0]) * min(block[1], halved[1])
        total += precincts * _PRECINCT_BYTES + extent[0] * extent[1] // cell * _BLOCK_BYTES
    return total
