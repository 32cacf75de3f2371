"""Which attributes a search names, and which it answers (PS3.18 8.3.1, 8.3.4.3, 10.6.3.3).

One rule: an attribute belongs to one level; what belongs to a lower level is neither matched nor returned.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from staticwado.dicom import tags
from staticwado.dicom.keywords import is_tag_or_keyword, tag_named
from staticwado.dicomweb import attributes
from staticwado.dicomweb.criteria import Tag


class Level(Enum):
    """What a search returns one entry for."""

    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"


Path = tuple[Tag, ...]
"""From a data set into the items of sequences."""
Creators = Mapping[tuple[str, ...], str]
"""Tags from the outermost sequence to a Private Creator element -> the creator that the search names."""
_DEEPEST = 16
_COMMON = ("00080056", "00080201", "00081190")
TABLES: Mapping[Level, tuple[str, ...]] = {
    Level.STUDY: (*attributes.STUDY_REQUIRED, *_COMMON),
    Level.SERIES: (
        *attributes.SERIES_REQUIRED, "00080201", "0008103E", "00081190", "00400244", "00400245", "00400275",
    ),
    Level.INSTANCE: (
        *attributes.INSTANCE_REQUIRED, *_COMMON, "00083002", "00280008", "00280010", "00280011", "00280100",
    ),
}  # fmt: skip
"""What every answer holds of a level (tables 10.6.3-3 to 10.6.3-5)."""
REQUIRED: Mapping[Level, tuple[str, ...]] = {
    Level.STUDY: attributes.STUDY_REQUIRED,
    Level.SERIES: attributes.SERIES_REQUIRED,
    Level.INSTANCE: attributes.INSTANCE_REQUIRED,
}
INDEXED: Mapping[Level, frozenset[str]] = {
    Level.STUDY: frozenset(
        {*TABLES[Level.STUDY], *attributes.STUDY_KNOWN, attributes.SOP_CLASSES_IN_STUDY},
    ),
    Level.SERIES: frozenset({*TABLES[Level.SERIES], *attributes.SERIES_KNOWN}),
    Level.INSTANCE: frozenset({*TABLES[Level.INSTANCE], *attributes.INSTANCE_KNOWN}),
}
"""What index files hold of a level."""


def level_of(tag: Tag) -> Level:
    """The level that an attribute belongs to; what index files do not hold belongs to the instance."""
    if tag.creator is None:
        for level, known in INDEXED.items():
            if tag.tag in known:
                return level
    return Level.INSTANCE


def is_indexed(tag: Tag) -> bool:
    """Whether index files hold an attribute."""
    return tag.creator is None and any(tag.tag in known for known in INDEXED.values())


def has_form_of_path(name: str) -> bool:
    """Whether a name looks like an attribute: tags or keywords, joined with dots."""
    return len(name) <= 1024 and all(is_tag_or_keyword(step) for step in name.split("."))


def tags_named(name: str) -> tuple[str, ...] | None:
    """The tags that `name` leads through; None where a step is unknown or there are too many."""
    steps = name.split(".", _DEEPEST)
    if len(name) > 1024 or len(steps) > _DEEPEST:
        return None
    found = [tag_named(step) if is_tag_or_keyword(step) else None for step in steps]
    return tuple(tag for tag in found if tag is not None) if None not in found else None


def is_creator(tag: str) -> bool:
    """Whether a tag is that of a Private Creator element."""
    return tags.is_private_creator(int(tag, 16))


def path_of(steps: tuple[str, ...], creators: Creators) -> Path | None:
    """The path that tags stand for; None if one but the last is no sequence, or lacks its private creator."""
    path = []
    for place, step in enumerate(steps):
        number = int(step, 16)
        if number >> 16 in (0, 2) or number & 0xFFFF == 0:
            return None
        if not tags.is_private(number):
            tag = Tag(step)
        elif (creator := _creator_of(steps[: place + 1], creators)) is not None:
            tag = Tag(step[:4] + "00" + step[6:], creator)
        else:
            return None
        if place < len(steps) - 1 and vr_of(tag) not in ("SQ", "UN"):
            return None
        path.append(tag)
    return tuple(path)


def _creator_of(steps: tuple[str, ...], creators: Creators) -> str | None:
    last = steps[-1]
    return creators.get((*steps[:-1], f"{last[:4]}00{last[4:6]}"))


def vr_of(tag: Tag) -> str:
    """The VR that the dictionary gives an attribute; UN for what it does not know."""
    number = int(tag.tag, 16)
    if tag.creator is not None and number & 0xFF00 == 0:
        number |= (
            0x1000  # the block number in which the dictionary of private attributes is kept does not matter
        )
    return tags.choose_vr(tags.dictionary_vr(number, tag.creator), number, 0)


# -- What is returned ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Selection:
    """The attributes to return: tag -> None for all of it, or what of its items."""

    whole: frozenset[Tag]
    parts: Mapping[Tag, "Selection"]
    empty: Mapping[str, str]
    """Tag -> VR of the attributes that are returned even if they are not known."""

    def of(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """What of `entry` is selected, in no order."""
        found: dict[str, Any] = {}
        for tag in self.whole:
            self._take(entry, tag, None, found)
        for tag, below in self.parts.items():
            self._take(entry, tag, below, found)
        for name, vr in self.empty.items():
            found.setdefault(name, {"vr": vr})
        return found

    @staticmethod
    def _take(entry: Mapping[str, Any], tag: Tag, below: "Selection | None", found: dict[str, Any]) -> None:
        name = tag.tag if tag.creator is None else place_of(entry, tag)
        if name is None or name not in entry:
            return
        if tag.creator is not None:
            creator = f"{name[:4]}00{name[4:6]}"
            found[creator] = entry[creator]
        element = entry[name]
        if below is not None and isinstance(element.get("Value"), list):
            items = [below.of(item) if isinstance(item, dict) else item for item in element["Value"]]
            element = {**element, "Value": items}
        found[name] = element


def select(paths: Iterable[Path], empty: Mapping[str, str]) -> Selection:
    """The selection of what `paths` lead to."""
    given = [path for path in dict.fromkeys(paths) if path]
    whole = frozenset(path[0] for path in given if len(path) == 1)
    deeper: dict[Tag, list[Path]] = {}
    for path in given:
        if path[0] not in whole:
            deeper.setdefault(path[0], []).append(path[1:])
    return Selection(whole, {tag: select(below, {}) for tag, below in deeper.items()}, empty)


def place_of(dataset: Mapping[str, Any], tag: Tag) -> str | None:
    """The tag under which `dataset` would hold an attribute; None where the private creator has no block."""
    if tag.creator is None:
        return tag.tag
    group = tag.tag[:4]
    for block in range(0x10, 0x100):
        values = dataset.get(f"{group}00{block:02X}", {}).get("Value")
        if values and isinstance(values[0], str) and values[0].strip(" ") == tag.creator:
            return f"{group}{block:02X}{tag.tag[6:]}"
    return None
