"""Search requests (PS3.18 8.3.4 and 10.6) as values.

One rule: a supported parameter with an impossible value is an error, an unsupported one is ignored (8.3),
and a warning says so where it looks like an attribute.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from staticwado.dicomweb import attributes, fields
from staticwado.dicomweb.criteria import (
    MATCHED_VRS,
    Attribute,
    Filter,
    Item,
    OneOf,
    Tag,
    Test,
    combine,
    parse_test,
)
from staticwado.dicomweb.fields import Level, Path, Selection
from staticwado.dicomweb.moments import parse_zone
from staticwado.dicomweb.resource import Resource, View
from staticwado.dicomweb.scope import Scope
from staticwado.errors import BadRequest

STUDY_INSTANCE_UID = "0020000D"
SERIES_INSTANCE_UID = "0020000E"
SOP_INSTANCE_UID = "00080018"
PATIENT_ID = "00100020"
TIMEZONE_OFFSET = "00080201"
_LONGEST_NUMBER = 18
_MOST_WARNINGS = 10
_LEVELS = {View.STUDIES: Level.STUDY, View.SERIES: Level.SERIES, View.INSTANCES: Level.INSTANCE}
_SWITCHES = ("fuzzymatching", "emptyvaluematching", "multiplevaluematching")
_NUMBERS = ("limit", "offset")
_ORDER = (Level.STUDY, Level.SERIES, Level.INSTANCE)


@dataclass(frozen=True, slots=True)
class Query:
    """A search: the level, the study and series that it stays within, what it asks, and the page wanted."""

    level: Level
    study: str | None = None
    series: str | None = None
    filters: Mapping[Level, tuple[Filter, ...]] = field(default_factory=dict)
    """What entries of a level, with the attributes of the levels above, have to fulfil."""
    keys: tuple[tuple[Path, str], ...] = ()
    """Attributes that are matched, universally too, and their VRs: they are returned."""
    include: tuple[Path, ...] = ()
    everything: bool = False
    """`includefield=all`."""
    fuzzy: bool = False
    zone: int | None = None
    """Minutes east of UTC of the dates and times asked for."""
    limit: int | None = None
    offset: int = 0
    warnings: tuple[str, ...] = ()
    """What was ignored."""
    scope: Scope | None = None
    """The studies that whoever asks may see; None for all."""

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels whose attributes are matched: those that the path leaves open."""
        return open_levels(self.level, self.study, self.series)

    def uids(self, tag: str) -> frozenset[str] | None:
        """The UIDs of which the attribute `tag` has to be one; None if it may be any."""
        for filters in self.filters.values():
            for each in filters:
                if isinstance(each, Attribute) and each.tag == Tag(tag) and isinstance(each.test, OneOf):
                    return each.test.uids
        return None

    @property
    def is_deep(self) -> bool:
        """Whether it matches or returns attributes that index files do not hold."""
        return self.matches_deep or self._is_deep(self.include)

    @property
    def matches_deep(self) -> bool:
        """Whether it matches attributes that index files do not hold."""
        return self._is_deep(path for path, _ in self.keys)

    def _is_deep(self, paths: Iterable[Path]) -> bool:
        return self.level is Level.INSTANCE and any(not fields.is_indexed(path[0]) for path in paths)

    def needs(self, level: Level) -> bool:
        """Whether a field is asked for that belongs to `level`, which the path has passed by."""
        return level not in self.levels and any(fields.level_of(path[0]) is level for path in self.include)

    def selection(self) -> Selection:
        """What of a match is returned (10.6.3.3): tables, keys, fields; nothing from lower levels."""
        tables = [tag for level in self.levels for tag in fields.TABLES[level]]
        if self.everything:
            tables += [tag for level in self.levels for tag in fields.INDEXED[level]]
        required = [tag for level in self.levels for tag in fields.REQUIRED[level]]
        empty = {tag: attributes.VR_OF_REQUIRED[tag] for tag in required}
        for path, vr in self.keys:
            if path[0].creator is None:
                empty[path[0].tag] = vr if len(path) == 1 else "SQ"
        paths = (*((Tag(tag),) for tag in tables), *(path for path, _ in self.keys), *self.include)
        below = _ORDER[_ORDER.index(self.level) + 1 :]
        kept = [path for path in paths if fields.level_of(path[0]) not in below]
        return fields.select(kept, empty)


def open_levels(level: Level, study: str | None, series: str | None) -> tuple[Level, ...]:
    """The levels from the first that a path leaves open down to `level`."""
    first = 0 if study is None else 1 if series is None else 2
    last = _ORDER.index(level)
    return _ORDER[min(first, last) : last + 1]


class _Reader:
    """Reads the parameters of one search."""

    def __init__(self, resource: Resource, pairs: Iterable[tuple[str, str]]) -> None:
        self._resource = resource
        self._level = _LEVELS[resource.view]
        self._open = open_levels(self._level, resource.study, resource.series)
        self._named: dict[str, str] = {}
        self._attributes: dict[tuple[str, ...], tuple[str, str]] = {}
        self._fields: list[str] = []
        self._warnings: dict[str, None] = {}
        for name, value in pairs:
            self._sort(name, value)
        self._creators = {
            steps: value.strip(" ")
            for steps, (_, value) in self._attributes.items()
            if value.strip(" ") and fields.is_creator(steps[-1])
        }

    def _sort(self, name: str, value: str) -> None:
        if name == "includefield":
            self._fields += value.split(",")
        elif name in _NUMBERS or name in _SWITCHES:
            if name in self._named:
                raise BadRequest(f"{name} may be given once (PS3.18 8.3.4.1)")
            self._named[name] = value
        elif fields.has_form_of_path(name):
            steps = fields.tags_named(name)
            if steps is None:
                self._ignore(name, "it is not known")
            elif steps in self._attributes:
                raise BadRequest(f"{name[:80]} may be given once (PS3.18 8.3.4.1)")
            else:
                self._attributes[steps] = name, value

    def _ignore(self, name: str, why: str) -> None:
        """Warns that an attribute is not matched or returned."""
        if len(self._warnings) < _MOST_WARNINGS:
            shown = "".join(letter if letter.isalnum() and letter.isascii() else "." for letter in name[:80])
            self._warnings[f"The parameter {shown} has been ignored: {why}."] = None

    def read(self) -> Query:
        """The query. Raises BadRequest, which names the parameter."""
        switches = {name: self._switch(name) for name in _SWITCHES}
        filters: dict[Level, list[tuple[Path, Attribute]]] = {}
        keys: list[tuple[Path, str]] = []
        for steps, (name, value) in self._attributes.items():
            path = self._path(steps, name)
            vr = fields.vr_of(path[-1]) if path else ""
            level = self._place(path, name, vr) if path else None
            if path is None or level is None:
                continue
            keys.append((path, vr))
            test = self._test(vr, name, value)
            if test is not None:
                filters.setdefault(level, []).append((path, Attribute(path[-1], vr, test)))
        include, everything = self._include()
        return Query(
            self._level,
            self._resource.study,
            self._resource.series,
            {level: nest(found) for level, found in filters.items()},
            tuple(keys),
            include,
            everything,
            switches["fuzzymatching"],
            self._zone(),
            self._number("limit"),
            self._number("offset") or 0,
            tuple(self._warnings),
        )

    def _test(self, vr: str, name: str, value: str) -> Test | None:
        empty, multiple = self._switch("emptyvaluematching"), self._switch("multiplevaluematching")
        try:
            return parse_test(vr, value, empty=empty, multiple=multiple)
        except ValueError as error:
            raise BadRequest(f"{name[:80]} must be {error}; not {value[:80]!r}") from error

    def _path(self, steps: tuple[str, ...], name: str) -> Path | None:
        if steps == (TIMEZONE_OFFSET,) or fields.is_creator(steps[-1]):
            return None
        path = fields.path_of(steps, self._creators)
        if path is None:
            self._ignore(name, "it leads through no sequence, or its private creator is not given")
        return path

    def _place(self, path: Path, name: str, vr: str) -> Level | None:
        """The level at which a key is matched; None, with a warning, if it is not."""
        if path[0].tag in (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID) and len(path) == 1:
            belongs = Level.STUDY if path[0].tag == STUDY_INSTANCE_UID else Level.SERIES
            if _ORDER.index(belongs) <= _ORDER.index(self._level):
                return belongs if belongs in self._open else self._level
        level = fields.level_of(path[0])
        if vr not in MATCHED_VRS or path[0].tag in (attributes.RETRIEVE_URL,):
            self._ignore(name, "it cannot be matched")
        elif level in self._open:
            return level
        else:
            what = (
                "of another level"
                if fields.is_indexed(path[0])
                else "matched in searches for instances alone"
            )
            self._ignore(name, f"it is {what}")
        return None

    def _include(self) -> tuple[tuple[Path, ...], bool]:
        found: dict[Path, None] = {}
        everything = False
        for name in dict.fromkeys(self._fields):
            steps = fields.tags_named(name) if name != "all" else None
            path = fields.path_of(steps, self._creators) if steps else None
            if name == "all":
                everything = True
            elif path is not None:
                found[path] = None
            elif name:
                self._ignore(f"includefield {name}", "it is not known")
        return tuple(found), everything

    def _zone(self) -> int | None:
        name, value = self._attributes.get((TIMEZONE_OFFSET,), (TIMEZONE_OFFSET, ""))
        if not value.strip("*"):
            return None
        zone = parse_zone(value if value[0] in "+-" else "+" + value.lstrip(" "))
        if zone is None:
            raise BadRequest(f"{name} must be an offset from UTC such as +0100; not {value[:80]!r}")
        return zone

    def _switch(self, name: str) -> bool:
        value = self._named.get(name, "false").lower()
        if value not in ("true", "false"):
            raise BadRequest(f"{name} must be true or false; not {value[:80]!r}")
        return value == "true"

    def _number(self, name: str) -> int | None:
        text = self._named.get(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit()) or len(text) > _LONGEST_NUMBER:
            raise BadRequest(f"{name} must be a whole number from 0; not {text[:80]!r}")
        return int(text)


def nest(given: Iterable[tuple[Path, Attribute]]) -> tuple[Filter, ...]:
    """The conditions as a tree: those on one sequence are on one and the same item."""
    here: list[Filter] = []
    below: dict[Tag, list[tuple[Path, Attribute]]] = {}
    for path, condition in given:
        if len(path) == 1:
            here.append(condition)
        else:
            below.setdefault(path[0], []).append((path[1:], condition))
    return combine([*here, *(Item(tag, nest(found)) for tag, found in below.items())])


def parse_query(resource: Resource, parameters: Iterable[tuple[str, str]]) -> Query:
    """The search that a path and its (decoded) query parameters ask for.

    Raises BadRequest, which names the parameter.
    """
    return _Reader(resource, parameters).read()
