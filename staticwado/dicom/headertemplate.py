"""A header whose JSON is known, to compare the next one with.

One rule: what is taken over was compared byte for byte, and all that was read before it, which could change
its meaning (character set, pixel representation, private creators), was the same too.
"""

from bisect import insort
from dataclasses import dataclass, field

from staticwado.dicom import tags
from staticwado.dicom.charset import CharacterDecoder
from staticwado.dicom.elements import MAX_NOTES, Context, Window
from staticwado.dicom.transfer_syntax import TransferSyntax

_RUNS_KEPT = 512
_MOST_ELEMENTS = 2048


@dataclass(frozen=True, slots=True)
class Turn:
    """An element that changes how others are read, and the state behind it."""

    index: int
    tag: int
    decoder: CharacterDecoder
    pixel_representation: int
    creator: str | None

    def apply(self, context: Context) -> None:
        context.pixel_representation = self.pixel_representation
        if self.creator is not None:
            context.creators[self.tag] = self.creator


@dataclass(slots=True)
class HeaderTemplate:
    """The top-level elements of a header up to its Pixel Data, in ascending order."""

    syntax: TransferSyntax
    data: bytes = b""
    tags: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    """Where each element starts in `data`; one more entry: where the last one ends."""
    vrs: list[str] = field(default_factory=list)
    """The VR of each element that has a plain value, else an empty text."""
    members: list[str] = field(default_factory=list)
    plain: list[bool] = field(default_factory=list)
    """Whether the element leaves nothing but its member: no note, no bulkdata."""
    turns: list[Turn] = field(default_factory=list)
    stops: list[int] = field(default_factory=list)
    """Elements (by index, ascending) that are not plain or that differed before; the count ends it."""
    worn: bool = False
    """It fits no longer: the next header is read as a whole, and becomes the template."""
    _runs: dict[tuple[int, int], dict[int, str]] = field(default_factory=dict)
    _contiguous: bool = True
    _end: int = -1

    def add(self, tag: int, start: int, end: int, vr: str, member: str, *, plain: bool) -> None:
        """Append an element that lies between `start` and `end`."""
        if self._end not in (-1, start) or (self.tags and self.tags[-1] >= tag):
            self._contiguous = False
        if not plain:
            self.stops.append(len(self.tags))
        self.tags.append(tag)
        self.starts.append(start)
        self.vrs.append(vr if plain else "")
        self.members.append(member)
        self.plain.append(plain)
        self._end = end

    def finish(self, window: Window, end: int, notes: int) -> bool:
        """Take over the bytes of the header, which ends at `end`; False if it cannot serve as a template."""
        self.data = window.data
        self.starts.append(end)
        self.stops.append(len(self.tags))
        whole = window.base == 0 and end <= len(window.data)
        ordered = (
            self._contiguous
            and self._end == end
            and 0 < len(self.tags) <= _MOST_ELEMENTS
            and self.tags[0] != 0
        )
        return whole and ordered and notes < MAX_NOTES

    def is_turn(self, tag: int) -> bool:
        """Whether an element of this tag changes how others are read."""
        if tag in (tags.SPECIFIC_CHARACTER_SET, tags.PIXEL_REPRESENTATION):
            return True
        return not self.syntax.explicit_vr and tags.is_private_creator(tag)

    def run(self, index: int, until: int) -> dict[int, str]:
        """The members of the elements from `index` to before `until`."""
        found = self._runs.get((index, until))
        if found is None:
            if len(self._runs) >= _RUNS_KEPT:
                self._runs.clear()
            found = dict(zip(self.tags[index:until], self.members[index:until], strict=True))
            self._runs[index, until] = found
        return found

    def learn(self, index: int) -> None:
        """Note that element `index` differed: what is before it and behind it is compared as one from now."""
        insort(self.stops, index)


def common_prefix(old: bytes, old_at: int, new: bytes, new_at: int, length: int) -> int:
    """How many bytes from `old_at` and `new_at` on are equal, at most `length`."""
    low, step = 0, 64
    while low < length:
        step = min(step, length - low)
        old_part = old[old_at + low : old_at + low + step]
        new_part = new[new_at + low : new_at + low + step]
        if old_part != new_part:
            differing = int.from_bytes(old_part, "little") ^ int.from_bytes(new_part, "little")
            return low + ((differing & -differing).bit_length() - 1) // 8
        low += step
        step *= 2
    return low
