"""Images in another size: cheaply for thumbnails (`shrunk`), exactly for what is rendered (`resampled`)."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

_BOX = 4
"""How many pixels are averaged at most along a side: past that, more make no visible difference."""


def fitted_size(rows: int, columns: int, aspect: float, size: int) -> tuple[int, int]:
    """Rows and columns of an image whose longest side is at most `size`, and never longer than it was.

    `aspect` is the height of a pixel over its width.
    """
    height, width = rows * aspect, float(columns)
    scale = min(size, max(rows, columns)) / max(height, width)
    return max(round(height * scale), 1), max(round(width * scale), 1)


def strided(array: "Array", rows: int, columns: int) -> "Array":
    """Every n-th pixel, so that twice as many as asked for are left: for what cannot be averaged."""
    down, across = max(array.shape[0] // (2 * rows), 1), max(array.shape[1] // (2 * columns), 1)
    return array[::down, ::across] if down > 1 or across > 1 else array


def shrunk(array: "Array", rows: int, columns: int, bits: int) -> "Array":
    """`array` at `rows` by `columns`: averaged where it gets smaller, interpolated where it gets larger.

    `bits` is how many bits the values have, sign included. Integers come back as floating point unless the
    size stays. Images of several samples come back plane by plane in memory.
    """
    import numpy as np

    if array.shape[:2] == (rows, columns):
        return array
    down, across = max(array.shape[0] // rows, 1), max(array.shape[1] // columns, 1)
    if array.ndim == 2:
        return _plane(_rows_added(array, down, bits, len(_picks(across))), 1, 0, down, across, rows, columns)
    samples = array.shape[2]
    if array.flags.c_contiguous:
        flat = _rows_added(array.reshape(array.shape[0], -1), down, bits, len(_picks(across)))
        planes = [_plane(flat, samples, index, down, across, rows, columns) for index in range(samples)]
    else:
        planes = [shrunk(array[..., index], rows, columns, bits) for index in range(samples)]
    return np.stack(planes).transpose(1, 2, 0)


def resampled(array: "Array", rows: int, columns: int) -> "Array":
    """`array`, (rows, columns) or (rows, columns, samples), at `rows` by `columns`.

    A pixel of a smaller image is the mean of the area that it covers, parts of pixels included; one of a
    larger image is a mix of its nearest ones (bilinear). Floating point unless the size stays. What it needs
    beside the result is one image of `rows` lines of the old length, however large `array` is.
    """
    if array.shape[:2] == (rows, columns):
        return array
    across = array if array.shape[0] == rows else _axis_resampled(array, rows)
    if array.shape[1] == columns:
        return across
    return _axis_resampled(across.swapaxes(0, 1), columns).swapaxes(0, 1)


def _axis_resampled(array: "Array", length: int) -> "Array":
    """`array` with `length` lines along its first axis."""
    import numpy as np

    have = array.shape[0]
    kind: Any = np.float64 if array.dtype.itemsize > (4 if array.dtype.kind == "f" else 2) else np.float32
    result = np.empty((length, *array.shape[1:]), kind)
    step = have / length
    for index in range(length):
        if step > 1:
            start, end = index * step, min((index + 1) * step, float(have))
            first, last = int(start), min(-int(-end // 1), have)
            weights = np.full(last - first, 1 / step, kind)
            weights[0] -= (start - first) / step
            weights[-1] -= (last - end) / step
        else:
            place = min(max((index + 0.5) * step - 0.5, 0.0), have - 1.0)
            first = int(place)
            last = min(first + 2, have)
            weights = np.array([1 - (place - first), place - first], kind)[: last - first]
        lines = array[first:last].reshape(last - first, -1).astype(kind, copy=False)
        result[index] = (weights @ lines).reshape(result.shape[1:])
    return result


def _picks(box: int) -> range:
    """Which rows or columns of a box of `box` are averaged: evenly spaced about its middle."""
    step = -(-box // _BOX)
    return range((box - 1) % step // 2, box, step)


def _rows_added(array: "Array", down: int, bits: int, across: int) -> "Array":
    """The sums of the picked rows of each box, in a type that has room for `across` columns of them too."""
    picks = _picks(down)
    kind = _sum_type(array, bits, len(picks) * across)
    return _added([array[: array.shape[0] // down * down][pick::down] for pick in picks], kind)


def _plane(
    added: "Array", samples: int, index: int, down: int, across: int, rows: int, columns: int
) -> "Array":
    """Sample `index` of the image whose rows have been `added`, averaged and brought to its size."""
    import numpy as np

    picks = _picks(across)
    number = len(picks) * len(_picks(down))
    width = added.shape[1] // (samples * across) * across
    total = _added(
        [added[:, index + pick * samples : width * samples : across * samples] for pick in picks], added.dtype
    )
    kind: Any = np.float64 if total.dtype.itemsize > 4 else np.float32
    if number > 1:
        total = total.astype(kind, copy=False)
        total *= kind(1.0 / number)
    return _interpolated(_interpolated(total, rows, 0), columns, 1)


def _added(parts: "list[Array]", kind: Any) -> "Array":
    import numpy as np

    if len(parts) == 1:
        return parts[0].astype(kind, copy=False)
    total: Array = np.add(parts[0], parts[1], dtype=kind)
    for part in parts[2:]:
        total += part
    return total


def _sum_type(array: "Array", bits: int, number: int) -> Any:
    """A type with room for the sum of `number` values of `bits` bits: the narrowest is by far the fastest."""
    import numpy as np

    if array.dtype.kind == "f":
        return np.float64 if array.dtype.itemsize > 4 else np.float32
    more = (number - 1).bit_length()
    signed = array.dtype.kind == "i"
    if bits + more > 16 and array.dtype.itemsize == 2:
        # Looking is cheaper than sums twice as wide, and few images use all 16 bits.
        bits = max(int(array.max()).bit_length(), int(array.min()).bit_length()) + signed
    if bits + more <= 16:
        return np.int16 if signed else np.uint16
    if bits + more <= 24:
        # As exact as int32, and no conversion afterwards.
        return np.float32
    return np.float64


def _interpolated(array: "Array", length: int, axis: int) -> "Array":
    """`array` with `length` pixels along `axis`, each a mix of the two nearest."""
    import numpy as np

    have = array.shape[axis]
    if have == length:
        return array
    kind = np.float64 if array.dtype.itemsize > 4 else np.float32
    places = np.clip((np.arange(length) + 0.5) * (have / length) - 0.5, 0, have - 1)
    before = places.astype(np.intp)
    share = (places - before).astype(kind)
    mixed: Array = np.take(array, np.minimum(before + 1, have - 1), axis=axis).astype(kind, copy=False)
    first = np.take(array, before, axis=axis)
    mixed -= first
    mixed *= share if axis == 1 else share[:, None]
    mixed += first
    return mixed
