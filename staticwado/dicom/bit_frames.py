"""The inverse of shifting frames to byte boundaries: one native value from frames that end inside a byte.

PS3.5 8.1.1: pixel cells follow each other without a gap, the first in the least significant bits.
"""

from collections.abc import Iterable, Iterator


def join_bit_frames(frames: Iterable[bytes], frame_bits: int) -> Iterator[bytes]:
    """The bytes of the native value, piece by piece; the unused bits of the last byte are zero.

    Each frame begins on a byte boundary and is `frame_bits` long; what is in it after that is ignored.
    """
    mask = (1 << frame_bits) - 1
    held = bits = 0
    for frame in frames:
        held |= (int.from_bytes(frame, "little") & mask) << bits
        bits += frame_bits
        whole = bits // 8
        if whole:
            yield (held & (1 << whole * 8) - 1).to_bytes(whole, "little")
            held >>= whole * 8
            bits -= whole * 8
    if bits:
        yield held.to_bytes(1, "little")
