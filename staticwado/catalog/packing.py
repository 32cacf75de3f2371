"""Entries as they are kept: JSON, compressed with a dictionary of what all of them have in common.

One rule: what is unpacked is what was packed, byte by byte; else it is an error: the file is damaged.
"""

import sqlite3
import zlib

_LEVEL, _WINDOW, _MEMORY = 6, -13, 5
_SUM = 4
_UNITED = "1.2.840.10008.5.1.4.1.1."
_COMMON = (
    '"00081010":{"vr":"SH"},"00080201":{"vr":"SH"},"00180015":{"vr":"CS"},"00400244":{"vr":"DA"},'
    '"00400245":{"vr":"TM"},"00400275":{"vr":"SQ"},"00200060":{"vr":"CS"},"00324000":{"vr":"LT"},'
    '"Ideographic":"","Phonetic":"","CR","DX","MG","NM","OT","PT","RF","SM","SR","US","XA"],"ES"'
    '{"00080060":{"vr":"CS","Value":["MR"]},"0008103E":{"vr":"LO","Value":["'
    '{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00080020":{"vr":"DA","Value":["2020'
    '"]},"00080030":{"vr":"TM","Value":["1'
    '"]},"00080050":{"vr":"SH","Value":["'
    '"]},"00080050":{"vr":"SH"},"00080056":{"vr":"CS","Value":["ONLINE"]},"00080061":{"vr":"CS","Value":["CT"'
    f']}},"00080062":{{"vr":"UI","Value":["{_UNITED}2","{_UNITED}4","{_UNITED}88.33'
    '"]},"00080090":{"vr":"PN"},"00080090":{"vr":"PN","Value":[{"Alphabetic":"'
    '"}]},"00081030":{"vr":"LO"},"00081030":{"vr":"LO","Value":["'
    '"]},"00081190":{"vr":"UR","Value":["studies/'
    '"]},"00100010":{"vr":"PN","Value":[{"Alphabetic":"'
    '"}]},"00100020":{"vr":"LO","Value":["'
    '"]},"00100030":{"vr":"DA","Value":["19'
    '"]},"00100040":{"vr":"CS","Value":["F"]},"00100040":{"vr":"CS","Value":["M"]},"00101010":{"vr":"AS","Value":["0'
    'Y"]},"0020000D":{"vr":"UI","Value":["'
    '"]},"0020000E":{"vr":"UI","Value":["'
    '"]},"00200010":{"vr":"SH"},"00200010":{"vr":"SH","Value":["'
    '"]},"00200011":{"vr":"IS","Value":[1]},"00201209":{"vr":"IS","Value":[1]}}'
    ',"00201206":{"vr":"IS","Value":[1]},"00201208":{"vr":"IS","Value":[1]}}'
).encode()


def _dictionary(uids: tuple[str, ...]) -> bytes:
    return _COMMON + "/series/".join(uids).encode("utf-8", "replace")


def pack(text: bytes, *uids: str) -> bytes:
    """`text` compressed; `uids`, which are known again when it is unpacked, cost nothing."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW, _MEMORY, zdict=_dictionary(uids))
    return packer.compress(text) + packer.flush() + _sum_of(text)


def mentions(packed: bytes, uid: str, text: bytes) -> bool:
    """Whether `text` is in the entry of a study."""
    return text in unpack(packed, uid)


def unpack(packed: bytes, *uids: str) -> bytes:
    """What was packed with the same `uids`. Raises sqlite3.DatabaseError for anything else."""
    unpacker = zlib.decompressobj(_WINDOW, zdict=_dictionary(uids))
    try:
        text = unpacker.decompress(packed[:-_SUM])
    except zlib.error as error:
        raise sqlite3.DatabaseError("an entry of the catalog is damaged") from error
    if _sum_of(text) != packed[-_SUM:]:
        raise sqlite3.DatabaseError("an entry of the catalog is damaged")
    return text


def _sum_of(text: bytes) -> bytes:
    return zlib.crc32(text).to_bytes(_SUM, "big")
