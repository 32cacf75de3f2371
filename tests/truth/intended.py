"""Comparing metadata element by element, and the one table of differences that are intended.

A witness is dcm2json's document, or the model of `tests.truth.model` where dcm2json is missing or fails. An
element that is not equal to the witness's must be accepted by exactly the rules below, each of which asks
for as much as it can: mostly that the product equals the standard's model, which is made without product
and without DCMTK.
"""

import base64
import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from tests.truth.model import BINARY, KNOWN, RAW, TEXT, UNSPLIT
from tests.truth.tree import Broken, Number, plain

PIXELS = ("7FE00010", "7FE00008", "7FE00009")
BULK_VRS = frozenset(
    "DS FL FD IS LT OB OD OF OL OV OW SL SS ST SV UC UL UN US UT UV".split()  # CONFORMANCE MD-02
)


@dataclass(frozen=True, slots=True)
class Source:
    """What a rule may know of the file that an element comes from."""

    fetch: Callable[[str], bytes]
    """The bytes behind a BulkDataURI of this document."""
    served: str
    """The transfer syntax in which its frames are served."""
    implicit: bool
    instance: str


@dataclass(frozen=True, slots=True)
class Pair:
    """One element as the product, the witness and the standard's model have it; None where it is absent."""

    place: str
    key: str
    product: Any
    witness: Any
    model: Any
    source: Source

    @property
    def vr(self) -> str:
        return str((self.product or self.witness)["vr"])

    def show(self) -> str:
        sides = [str(plain(side))[:160] for side in (self.product, self.witness)]
        return f"{self.place}: product {sides[0]} | truth {sides[1]}"


@dataclass(frozen=True, slots=True)
class Intended:
    """A difference that is meant: its name, why, and whether a pair is one."""

    name: str
    why: str
    accepts: Callable[[Pair], bool]


def _values(made: Any) -> list[Any]:
    return list((made or {}).get("Value", ()))


def _same_length(pair: Pair, vrs: set[str]) -> bool:
    sides = (pair.product, pair.witness, pair.model)
    if any(side is None or side["vr"] not in vrs for side in sides):
        return False
    return len({len(_values(side)) for side in sides}) == 1


def _as_model(pair: Pair) -> bool:
    """The product equals the standard's model; numbers of DS and IS keep its text."""
    if pair.product is None or pair.model is None:
        return False
    model = {key: value for key, value in pair.model.items() if key not in (RAW, KNOWN)}
    if pair.vr in ("DS", "IS"):
        return pair.product["vr"] == model["vr"] and keeps_text(pair.product, model)
    return bool(plain(pair.product) == model) and not _is_changed_number(pair)


def _is_changed_number(pair: Pair) -> bool:
    return any(isinstance(value, str) for value in _values(pair.model)) and any(
        isinstance(value, Number) for value in _values(pair.product)
    )


def keeps_text(product: Any, model: Any) -> bool:
    """Whether every DS or IS is spelled as in the file: a string exactly so, a JSON number digit for digit.

    JSON cannot spell a leading plus, leading zeros and a bare point; nothing else may differ.
    """
    ours, theirs = _values(product), _values(model)
    return len(ours) == len(theirs) and all(map(_is_spelled, ours, theirs))


def _is_spelled(value: Any, text: Any) -> bool:
    if not isinstance(value, Number):
        return bool(value == text)
    try:
        return Decimal(value.text).as_tuple() == Decimal(str(text)).as_tuple()
    except InvalidOperation:
        return False


def _number(value: Any) -> float | None:
    value = plain(value)
    try:
        return None if value is None else float(str(value).strip(" \0"))
    except ValueError:
        return math.nan


def _decimal(pair: Pair) -> bool:
    if not _same_length(pair, {"DS", "IS"}) or not keeps_text(pair.product, pair.model):
        return False
    sides = zip(_values(pair.product), _values(pair.witness), strict=True)
    return all(_number(ours) == _number(theirs) for ours, theirs in sides)


def _single(pair: Pair) -> bool:
    if not _same_length(pair, {"FL"}):
        return False
    sides = zip(_values(pair.product), _values(pair.model), _values(pair.witness), strict=True)
    return all(
        struct.pack("<f", plain(ours)) == struct.pack("<f", exact)
        and math.isclose(exact, theirs, rel_tol=1e-8)
        for ours, exact, theirs in sides
    )


def _double(pair: Pair) -> bool:
    if not _same_length(pair, {"FD"}) or plain(_values(pair.product)) != _values(pair.model):
        return False
    sides = zip(_values(pair.model), _values(pair.witness), strict=True)
    return all(math.isclose(exact, theirs, rel_tol=1e-14) for exact, theirs in sides)


def _not_finite(pair: Pair) -> bool:
    if pair.model is None or pair.vr not in ("FL", "FD") or "BulkDataURI" in pair.product:
        return False
    sides = list(zip(_values(pair.product), _values(pair.model), strict=False))
    finite = all(math.isfinite(exact) for exact in _values(pair.model))
    return (
        not finite
        and len(sides) == len(_values(pair.model))
        and all(
            plain(ours) == exact or (not math.isfinite(exact) and (ours is None or isinstance(ours, str)))
            for ours, exact in sides
        )
    )


def _long(pair: Pair) -> bool:
    sides = (pair.product, pair.witness)
    return _same_length(pair, {"SV", "UV"}) and (
        [int(str(plain(value))) for value in _values(sides[0])] == [int(value) for value in _values(sides[1])]
    )


def _stripped(value: Any, what: str) -> Any:
    if isinstance(value, dict):
        return {key: item.rstrip(what) for key, item in value.items() if item.rstrip(what)} or None
    return value.rstrip(what) or None if isinstance(value, str) else value


def _nul_padding(pair: Pair) -> bool:
    wanted = [_stripped(value, "\0 ") for value in _values(pair.witness)]
    return (
        "\0" in str(_values(pair.witness)).replace("\\x00", "\0")
        and _as_model(pair)
        and ([_spelled(value) for value in _values(pair.product)] == wanted)
    )


def _known(pair: Pair) -> bool:
    if pair.model is None or pair.witness is None or pair.witness["vr"] != "UN" or pair.product is None:
        return False
    known = pair.model.get(KNOWN)
    if known is None or pair.product["vr"] != known["vr"]:
        return False
    if known["vr"] == "SQ":
        inner = pairs({pair.key: pair.product}, {pair.key: known}, {pair.key: known}, pair.source)
        return all(judge(one) is not None for one in inner)
    return judge(replace(pair, witness=known, model=known)) is not None or _is_equal(
        replace(pair, witness=known, model=known)
    )


def _spelled(value: Any) -> Any:
    return value.text if isinstance(value, Number) else value


def _name_components(pair: Pair) -> bool:
    if pair.vr != "PN" or not _as_model(pair):
        return False
    stripped = [_stripped(value, "^ ") for value in _values(pair.product)]
    return (stripped if any(stripped) else []) == _values(pair.witness)


def bulk_bytes(pair: Pair) -> list[bytes]:
    """The byte strings that a BulkDataURI may lead to."""
    if pair.model is None:
        return []
    right = [pair.model[RAW]]
    if pair.vr in TEXT | UNSPLIT:  # J-12: bulk text is UTF-8; padded or not
        text = "\\".join(str(value or "") for value in _values(pair.model)).encode()
        right += [text, text + b" " * (len(text) % 2)]
    return right


def _bulk(pair: Pair) -> bool:
    product = pair.product or {}
    if "BulkDataURI" not in product or pair.vr not in BULK_VRS or pair.place in PIXELS:
        return False
    if pair.model is None or pair.model["vr"] != pair.vr:
        return False
    try:
        found = pair.source.fetch(product["BulkDataURI"])
    except Broken:
        return False
    inline = (pair.witness or {}).get("InlineBinary")
    if pair.vr in BINARY and inline is not None and found != base64.b64decode(inline):
        return False
    return found in bulk_bytes(pair)


def _pixels(pair: Pair) -> bool:
    if pair.place not in PIXELS or pair.model is None:
        return False
    if pair.product is None or pair.product["vr"] != pair.model["vr"]:
        return False
    if len(pair.product) == 1:
        return not pair.model[RAW]
    return str(pair.product.get("BulkDataURI", "")).rpartition("/")[2] == "pixeldata"


def _same_raw(pair: Pair) -> bool:
    """A private element of implicit VR whose VR only a private dictionary knows."""
    private = int(pair.key, 16) >> 16 & 1 == 1
    if not (private and pair.source.implicit and pair.witness and pair.witness["vr"] == "UN" and pair.model):
        return False
    inline = base64.b64decode(pair.witness.get("InlineBinary", ""))
    return bool(inline == pair.model[RAW]) and _as_model(pair)


INTENDED: tuple[Intended, ...] = (
    Intended(
        "character set kept",
        "J-11 (PS3.18 F.2.2 note 3, 2025e): it keeps its source value; dcm2json writes ISO_IR 192",
        lambda pair: pair.key == "00080005" and _as_model(pair),
    ),
    Intended(
        "available transfer syntax",
        "MD-04: (0008,3002) is added at the top level and names the transfer syntax of the frames as served",
        lambda pair: (
            pair.place == "00083002" and plain(pair.product) == {"vr": "UI", "Value": [pair.source.served]}
        ),
    ),
    Intended(
        "decimal and integer strings keep their text",
        "J-07, DESIGN 4: dcm2json makes numbers of DS and IS and so loses 1.50 and 1.2500E+00",
        _decimal,
    ),
    Intended(
        "single precision is written in full",
        "J-07: dcm2json prints nine digits of FL; both give the same 32 bits",
        _single,
    ),
    Intended(
        "double precision is exact",
        "J-07: dcm2json's FD may be off in its last digit (0.0003751250000000001); ours is the same 64 bits",
        _double,
    ),
    Intended(
        "not a number",
        "J-09: JSON has no NaN or Infinity; null or text stands for it",
        _not_finite,
    ),
    Intended(
        "64-bit integers",
        "J-07: SV and UV are numbers or strings; dcm2json writes strings beyond 2^53",
        _long,
    ),
    Intended(
        "NUL padding is no text",
        "J-14: padding is stripped; dcm2json keeps a NUL that pads a string VR (against PS3.5 6.2) as U+0000",
        _nul_padding,
    ),
    Intended(
        "empty name components kept",
        "J-06: dcm2json cuts trailing ^ off a name; PS3.5 6.2.1.1 allows them, and lossless is the law here",
        _name_components,
    ),
    Intended(
        "bulkdata in place of an inline value",
        "MD-02, J-10: a big value is fetched from its BulkDataURI; its bytes are compared here",
        _bulk,
    ),
    Intended(
        "pixel data by reference",
        "DESIGN 4: Pixel Data is never inline, its URI is .../pixeldata; the truth was made without it",
        _pixels,
    ),
    Intended(
        "UN of a known attribute",
        "PS3.5 6.2.2: a stored UN may be read by the dictionary, as pydicom does; dcm2json keeps it",
        _known,
    ),
    Intended(
        "private VR by dictionary",
        "J-15: implicit VR leaves a private element's VR open; dcm2json writes UN, a dictionary may know it",
        _same_raw,
    ),
)


def _is_equal(pair: Pair) -> bool:
    if pair.product is None or pair.witness is None:
        return False
    product, witness = plain(pair.product), {k: v for k, v in pair.witness.items() if k not in (RAW, KNOWN)}
    if pair.vr in ("DS", "IS"):
        # the witness's number is equal to any spelling of it, so the spelling is judged by the model alone
        return bool(product == witness) and (pair.model is None or keeps_text(pair.product, pair.model))
    return bool(product == witness)


def pairs(product: Any, witness: Any, model: Any, source: Source, place: str = "") -> Iterator[Pair]:
    """Every element in which product and witness differ, depth first."""
    for key in sorted(set(product) | set(witness)):
        here = f"{place}/{key}" if place else key
        pair = Pair(here, key, product.get(key), witness.get(key), (model or {}).get(key), source)
        sides = (pair.product, pair.witness)
        if all(side is not None and side["vr"] == "SQ" for side in sides):
            ours, theirs = _values(pair.product), _values(pair.witness)
            third = _values(pair.model) if pair.model else []
            if len(ours) == len(theirs):
                for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
                    inner = third[number] if len(third) == len(ours) else None
                    yield from pairs(one, other or {}, inner, source, f"{here}[{number}]")
                continue
        if not _is_equal(pair):
            yield pair


def judge(pair: Pair) -> str | None:
    """The name of the intended difference that `pair` is, or None."""
    for rule in INTENDED:
        if rule.accepts(pair):
            return rule.name
    return None
