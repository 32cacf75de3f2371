"""GIF89a, one frame at a time: giflib compresses, the blocks around it are written here.

One rule: no more than one frame is in memory; a frame of at most 256 colours is exact.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from staticwado.errors import Unsupported

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

FRAME_DURATION = 100
"""Milliseconds a frame where nothing is known."""
_LONGEST_SIDE = 65535
_COLOURS = 256
_LOOP = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"
"""Again and again without end: the one extension that every viewer knows."""
_TABLE_START = 13
_DATA_START = 10
"""Bytes of an image descriptor."""
_HEADERS = 4096
"""Bytes, more than enough for what surrounds the pixels of a GIF."""
_SIZE = slice(13, 17)
"""Where columns and rows stand in a block: behind the graphic control extension and the place."""


def gif(arrays: "Iterable[Array]", durations: Sequence[int] = ()) -> Iterator[bytes]:
    """The pieces of a GIF of `arrays`, each 8-bit grey or RGB and all of one size.

    `durations` are in milliseconds; the last one counts for all that follow. RGB of more than 256 colours is
    reduced, each frame to its own.

    Raises Unsupported for no frames, for sizes that differ, and for sides over 65,535 pixels.
    """
    blocks = (
        gif_block(shown, durations[min(number, len(durations) - 1)] if durations else FRAME_DURATION)
        for number, shown in enumerate(arrays)
    )
    return joined(blocks)


def joined(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces of a GIF whose frames are `blocks` that `gif_block` made.

    Raises Unsupported for no frames and for sizes that differ.
    """
    size: bytes | None = None
    for number, block in enumerate(blocks):
        found = block[_SIZE]
        if size is None:
            size = found
            yield b"GIF89a" + size + b"\x70\0\0" + _LOOP
        if found != size:
            raise Unsupported(f"frame {number + 1} of a GIF has another size than the first one")
        yield block
    if size is None:
        raise Unsupported("image/gif of no frame")
    yield b"\x3b"


def gif_block(shown: "Array", duration: int) -> bytes:
    """One frame of a GIF, 8-bit grey or RGB, shown for `duration` milliseconds.

    Raises Unsupported for sides over 65,535 pixels.
    """
    import imagecodecs

    if max(shown.shape[:2]) > _LONGEST_SIDE:
        raise Unsupported(f"an image of {shown.shape} does not fit into a GIF")
    indexes, table = indexed(shown)
    # Noise gets larger: 12 bits a pixel at worst, and the room that the codec takes by itself is too small.
    room = indexes.size * 2 + _HEADERS
    whole = bytes(imagecodecs.gif_encode(indexes, colormap=table, out=room))
    start = _TABLE_START + _COLOURS * 3 + _DATA_START
    # Viewers take less than 2 hundredths of a second for a mistake and play slowly.
    hundredths = min(max(round(duration / 10), 2), 0xFFFF)
    control = b"\x21\xf9\x04\x04" + hundredths.to_bytes(2, "little") + b"\0\0"
    rows, columns = indexes.shape
    descriptor = b"\x2c\0\0\0\0" + columns.to_bytes(2, "little") + rows.to_bytes(2, "little") + b"\x87"
    return b"".join((control, descriptor, table.tobytes(), whole[start:-1]))


def indexed(shown: "Array") -> "tuple[Array, Array]":
    """8-bit indexes, and the table of 256 colours that they point into."""
    import numpy as np

    if shown.ndim == 2:
        return np.ascontiguousarray(shown), np.repeat(np.arange(_COLOURS, dtype=np.uint8), 3).reshape(-1, 3)
    packed = shown[..., 0].astype(np.uint32) << 16
    packed |= shown[..., 1].astype(np.uint32) << 8
    packed |= shown[..., 2]
    colours = np.unique(packed)
    if len(colours) <= _COLOURS:
        table = np.zeros((_COLOURS, 3), np.uint8)
        table[: len(colours)] = np.stack([colours >> 16, colours >> 8 & 0xFF, colours & 0xFF], axis=1)
        return np.searchsorted(colours, packed).astype(np.uint8), table
    return _reduced(packed)


def _reduced(packed: "Array") -> "tuple[Array, Array]":
    """Median cut over colours of 5 bits a channel: boxes are halved where the most pixels are."""
    import numpy as np

    coarse = (packed >> 9 & 0x7C00) | (packed >> 6 & 0x3E0) | (packed >> 3 & 0x1F)
    counts = np.bincount(coarse.reshape(-1), minlength=1 << 15)
    used = np.flatnonzero(counts)
    points = np.stack([used >> 10, used >> 5 & 0x1F, used & 0x1F], axis=1)
    boxes = [np.arange(len(used))]
    weights = [_weight(points, counts[used], boxes[0])]
    while len(boxes) < _COLOURS and max(weights) > 0:
        worst = weights.index(max(weights))
        box = boxes.pop(worst)
        weights.pop(worst)
        for half in _halves(points, counts[used], box):
            boxes.append(half)
            weights.append(_weight(points, counts[used], half))
    table = np.zeros((_COLOURS, 3), np.uint8)
    lookup = np.zeros(1 << 15, np.uint8)
    for index, box in enumerate(boxes):
        middle = np.average(points[box], axis=0, weights=counts[used[box]])
        table[index] = np.clip(np.rint(middle * (255 / 31)), 0, 255)
        lookup[used[box]] = index
    return lookup[coarse], table


def _weight(points: "Array", counts: "Array", box: "Array") -> float:
    """How much is to gain by cutting a box: its longest side, and how many pixels see it."""
    spans = points[box].max(axis=0) - points[box].min(axis=0)
    return float(spans.max() * counts[box].sum() ** 0.5)


def _halves(points: "Array", counts: "Array", box: "Array") -> "tuple[Array, Array]":
    import numpy as np

    inside = points[box]
    axis = int((inside.max(axis=0) - inside.min(axis=0)).argmax())
    order = box[np.argsort(inside[:, axis], kind="stable")]
    below = np.cumsum(counts[order])
    cut = int(np.searchsorted(below, below[-1] / 2)) + 1
    cut = min(max(cut, 1), len(order) - 1)
    return order[:cut], order[cut:]
