"""What `annotation=patient,technique` burns into a picture (PS3.18 8.3.5.1.1).

One rule: a value is shown as the data set has it; what it does not have is left out.
"""

from enum import Enum
from typing import TYPE_CHECKING, Any

from staticwado.dicom.drawing import painted, text_mask, thickened
from staticwado.dicom.font import CELL_HEIGHT, CELL_WIDTH, plain
from staticwado.dicom.grey import macro
from staticwado.dicom.jsonvalues import Dataset, values

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]


class Annotation(Enum):
    """The values of the parameter `annotation` that PS3.18 names."""

    PATIENT = "patient"
    TECHNIQUE = "technique"


_PATIENT = (("", "00100010"), ("ID ", "00100020"), ("Born ", "00100030"), ("Sex ", "00100040"))
_ALWAYS = (
    ("", "00080060"),
    ("Study ", "00080020"),
    ("Series ", "00200011"),
    ("Image ", "00200013"),
    ("Part ", "00180015"),
)
_X_RAY = (
    ("kVp ", "00180060"),
    ("mAs ", "00181152"),
    ("View ", "00185101"),
    ("Laterality ", "00200062"),
)
_BY_MODALITY: dict[str, tuple[tuple[str, str], ...]] = {
    "CT": (
        ("kVp ", "00180060"),
        ("mA ", "00181151"),
        ("Thickness ", "00180050"),
        ("Kernel ", "00181210"),
        ("Position ", "00200032"),
    ),
    "MR": (
        ("TR ", "00180080"),
        ("TE ", "00180081"),
        ("TI ", "00180082"),
        ("Flip ", "00181314"),
        ("Field ", "00180087"),
        ("Thickness ", "00180050"),
        ("Position ", "00200032"),
    ),
    "PT": (("Units ", "00541001"), ("Corrected ", "00280051"), ("Position ", "00200032")),
    "NM": (("Counts ", "00180070"), ("Duration ", "00181242")),
    "US": (("MI ", "00186050"), ("Transducer ", "00186031")),
    "SM": (("Container ", "00400512"),),
    **dict.fromkeys(("CR", "DX", "MG", "IO", "PX", "RF", "XA", "RG"), _X_RAY),
}
_GROUPS = ("00189321", "00189112", "00189114", "00289110", "00209113", "00189325", "00189314")
"""Functional groups where images of several frames keep the same."""
_LARGE = 320
"""Pixels of the shorter side that call for letters twice as large; 640 for three times, and so on."""


def annotation_lines(dataset: Dataset, frame_number: int, wanted: Annotation) -> list[str]:
    """The lines to show, without those that the data set has no value for; `frame_number` is 1-based."""
    fields: tuple[tuple[str, str], ...] = _PATIENT
    if wanted is Annotation.TECHNIQUE:
        fields = _ALWAYS + _BY_MODALITY.get(_shown(dataset, "00080060"), ())
    groups = [macro(dataset, group, frame_number) for group in _GROUPS]
    lines = []
    for label, tag in fields:
        found = next((text for source in (dataset, *groups) if (text := _shown(source, tag))), "")
        if found:
            lines.append(label + found)
    if wanted is Annotation.TECHNIQUE and len(values(dataset, "52009230")) + _frames(dataset) > 1:
        lines.append(f"Frame {frame_number}")
    return lines


def _frames(dataset: Dataset) -> int:
    found = _shown(dataset, "00280008")
    return int(found) if found.isdecimal() else 0


def _shown(dataset: Dataset, tag: str) -> str:
    parts = []
    for value in values(dataset, tag):
        if isinstance(value, dict):
            value = value.get("Alphabetic") or value.get("Ideographic") or value.get("Phonetic")
            value = " ".join(part for part in value.split("^") if part) if isinstance(value, str) else None
        if isinstance(value, float):
            value = f"{value:g}"
        if value is not None and not isinstance(value, list):
            parts.append(str(value).strip())
    return "\\".join(parts)


def annotated(
    picture: "Array", dataset: Dataset, frame_number: int, wanted: frozenset[Annotation]
) -> "Array":
    """`picture` with the patient at its top and the technique at its bottom, white on a black edge.

    Lines that are too long for the picture go on in the next; what then has no room is cut off.
    """
    rows, columns = picture.shape[:2]
    scale = max(min(rows, columns) // _LARGE + 1, 1)
    room = max((columns - 2 * scale) // (CELL_WIDTH * scale), 1)
    for kind in sorted(wanted, key=lambda kind: kind.value):
        lines = [
            text[start : start + room]
            for text in map(plain, annotation_lines(dataset, frame_number, kind))
            for start in range(0, len(text), room)
        ]
        if not lines:
            continue
        top = scale
        if kind is Annotation.TECHNIQUE:
            top = max(rows - len(lines) * CELL_HEIGHT * scale - scale, scale)
        mask = text_mask(lines, (rows, columns), scale, top, scale)
        picture = painted(picture, thickened(mask, 2 * scale + 1), 0)
        picture = painted(picture, mask, 255)
    return picture
