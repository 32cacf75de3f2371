"""Studies that nobody had: index entries in any number, the same for the same seed, without pixels.

One rule: everything follows from the number of the study, so that memory stays flat and any study can be made
again by itself.

Names are drawn so that a few are very frequent (as Zipf has it), some with accents and some in three groups;
days lie within fifteen years; a patient has three studies on average; some values are empty, as in life.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson

from staticwado import layout
from staticwado.archive import Archive, compress
from staticwado.dicomweb.resource import Resource, View
from staticwado.ingest.entries import sort_studies

Entry = dict[str, Any]

_FIRST_DAY = date(2011, 1, 1)
DAYS = [(_FIRST_DAY + timedelta(day)).strftime("%Y%m%d") for day in range(15 * 365)]
_BIRTHS = [(date(1925, 1, 1) + timedelta(day)).strftime("%Y%m%d") for day in range(0, 98 * 365, 3)]
_STEMS = (
    "Smith Müller Garcia Nguyen Jones Novák Öztürk Kim Schmidt Rossi Silva Dubois Ivanova Andersson Nowak "
    "Tanaka Kowalska Łukasik Žižka Ångström Çelik Núñez Brønsted Wójcik Papadopoulos O'Neill Van_den_Berg "
    "Nagy Horváth Yalçın Lefèvre Schröder Fernández Björk Dvořák Popescu Ionescu Virtanen Jansen Costa "  # noqa: RUF001
    "Almeida Weiß Sørensen Martin Bernard Moreau Fischer Weber Wagner Becker"
)
_FAMILIES = [stem.replace("_", " ") for stem in _STEMS.split()]
_ENDINGS = (
    "", "son", "mann", "ová", "berg", "ez", "ski", "ström", "feld", "bauer", "hofer", "eau",
    "ini", "ić", "enko", "idis", "stein", "wood", "ley", "ford",
)  # fmt: skip
_GIVEN = (
    "Anna Peter María José Zoë Chloé Jürgen Søren Łucja Đorđe Ayşe Oğuz Elif Renée François Noël Hans Eva "
    "Jan Petra Tomáš Jiří Ágnes István Bjørn Åsa Lars Ingrid Paul John Mary Susan Linda James Robert Ahmed "
    "Fatima Wei Li Yuki"
).split()
_GROUPS = (
    ("Yamada^Tarou", "山田^太郎", "やまだ^たろう"),
    ("Satou^Hanako", "佐藤^花子", "さとう^はなこ"),
    ("Hong^Gildong", "洪^吉洞", "홍^길동"),
    ("Wang^XiaoDong", "王^小东", ""),
    ("Suzuki^Ichirou", "鈴木^一郎", "すずき^いちろう"),
)
_MODALITIES = ("CT", "MR", "CR", "DX", "US", "MG", "PT", "NM", "XA", "RF", "OT", "ES", "SM")
_OFTEN = (0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 6, 7, 8, 9, 10, 11, 12)
_SOP_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.1.2",
    "1.2.840.10008.5.1.4.1.1.128", "1.2.840.10008.5.1.4.1.1.20", "1.2.840.10008.5.1.4.1.1.12.1",
    "1.2.840.10008.5.1.4.1.1.12.2", "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.77.1.1",
    "1.2.840.10008.5.1.4.1.1.77.1.6",
)  # fmt: skip
_PARTS = (
    "Abdomen Thorax Schädel Brain Knee Wirbelsäule Pelvis Heart Leber Mamma Shoulder Hand Foot Neck Colon "
    "Aorta Prostata Hip Spine Angiography Ganzkörper Sinus Orbita Kidney"
).split()
_HOW = ("", " with contrast", " nativ", " follow-up", " pre-op", " low dose", " 2 planes", " (outside)")
_PHYSICIANS = 4_000
ROOT = "1.2.826.0.1.3680043.10.1337"


def mix(number: int, salt: int) -> int:
    """A number below 2**32 that looks like chance (the finaliser of MurmurHash3)."""
    value = (number * 0x9E3779B1 + salt * 0x85EBCA77 + 0x165667B1) & 0xFFFFFFFF
    value = ((value ^ (value >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    value = ((value ^ (value >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return value ^ (value >> 16)


def _skewed(chance: int, size: int) -> int:
    """An index below `size`; low ones are far more frequent."""
    return int(size ** (chance / 4294967296)) - 1


def _element(vr: str, value: Any) -> Entry:
    return {"vr": vr, "Value": [value]} if value else {"vr": vr}


def _name(number: int) -> dict[str, str]:
    chance = mix(number, 11)
    if chance % 100 < 4:
        alphabetic, ideographic, phonetic = _GROUPS[chance // 100 % len(_GROUPS)]
        return {
            "Alphabetic": alphabetic,
            "Ideographic": ideographic,
            **({"Phonetic": phonetic} if phonetic else {}),
        }
    place = _skewed(mix(number, 12), len(_FAMILIES) * len(_ENDINGS))
    family = _FAMILIES[place % len(_FAMILIES)] + _ENDINGS[place // len(_FAMILIES)]
    given = _GIVEN[_skewed(mix(number, 13), len(_GIVEN))]
    middle = f"^{_GIVEN[chance % len(_GIVEN)]}" if chance % 7 == 0 else ""
    return {"Alphabetic": f"{family}^{given}{middle}"}


@dataclass(frozen=True, slots=True)
class MadeSeries:
    uid: str
    entry: Entry
    instances: tuple[str, ...]
    """SOP Instance UIDs."""


@dataclass(frozen=True, slots=True)
class MadeStudy:
    uid: str
    entry: Entry
    series: tuple[MadeSeries, ...]


def make_study(number: int, patients: int) -> MadeStudy:
    """Study `number` of an archive with so many patients."""
    chance, more = mix(number, 1), mix(number, 2)
    uid = f"{ROOT}.{more}.{number}"
    kind = _OFTEN[chance % len(_OFTEN)]
    count = 1 + (chance >> 8) % 5
    both = (chance >> 12) % 16 == 0 and count > 1
    series = []
    for place in range(count):
        is_report = both and place == count - 1
        series.append(_make_series(uid, place + 1, kind, is_report, mix(number * 5 + place, 3)))
    patient = mix(number, 4) % patients
    born = mix(patient, 5)
    text = f"{_MODALITIES[kind]} {_PARTS[(chance >> 16) % len(_PARTS)]}{_HOW[(chance >> 22) % len(_HOW)]}"
    seconds = 25_200 + more % 50_400
    moment = f"{seconds // 3600:02}{seconds // 60 % 60:02}{seconds % 60:02}"
    modalities = [_MODALITIES[kind], *(["SR"] if both else [])]
    classes = [_SOP_CLASSES[kind], *(["1.2.840.10008.5.1.4.1.1.88.33"] if both else [])]
    entry = {
        "00080020": _element("DA", DAYS[mix(number, 6) % len(DAYS)] if chance % 997 else ""),
        "00080030": _element("TM", moment if more % 3 else f"{moment}.{more % 1000:03}000"),
        "00080050": _element("SH", f"A{number * 13 % 100_000_007:08}" if more % 20 else ""),
        "00080056": {"vr": "CS", "Value": ["ONLINE"]},
        "00080061": {"vr": "CS", "Value": modalities},
        "00080062": {"vr": "UI", "Value": sorted(classes)},
        "00080090": _element("PN", _name(10_000_019 + more % _PHYSICIANS) if more % 10 else None),
        "00081030": _element("LO", text if more % 12 else ""),
        "00081190": {"vr": "UR", "Value": [f"studies/{uid}"]},
        "00100010": _element("PN", _name(patient)),
        "00100020": {"vr": "LO", "Value": [f"{born % 90 + 10}-{patient:07}"]},
        "00100030": _element("DA", _BIRTHS[born % len(_BIRTHS)] if born % 33 else ""),
        "00100040": _element("CS", ("F", "M", "O", "")[min(born % 211, 3) if born % 211 < 2 else born % 2]),
        "00101010": _element("AS", f"{born % 90:03}Y"),
        "0020000D": {"vr": "UI", "Value": [uid]},
        "00200010": _element("SH", f"S{more % 100_000}" if chance % 20 else ""),
        "00201206": {"vr": "IS", "Value": [count]},
        "00201208": {"vr": "IS", "Value": [sum(len(one.instances) for one in series)]},
    }
    return MadeStudy(uid, entry, tuple(series))


def _make_series(study: str, number: int, kind: int, is_report: bool, chance: int) -> MadeSeries:
    uid = f"{study}.{number}"
    instances = tuple(f"{uid}.{place}" for place in range(1, 2 + chance % 3))
    entry = {
        "00080060": {"vr": "CS", "Value": ["SR" if is_report else _MODALITIES[kind]]},
        "0008103E": _element("LO", f"{_PARTS[chance % len(_PARTS)]} {number}"),
        "00081190": {"vr": "UR", "Value": [f"{study}/series/{uid}"]},
        "0020000D": {"vr": "UI", "Value": [study]},
        "0020000E": {"vr": "UI", "Value": [uid]},
        "00200011": {"vr": "IS", "Value": [number]},
        "00201209": {"vr": "IS", "Value": [len(instances)]},
    }
    return MadeSeries(uid, entry, instances)


def make_studies(count: int, first: int = 0) -> Iterator[MadeStudy]:
    """`count` studies from number `first` on, by number and so in no order of time."""
    patients = max(1, (first + count) // 3)
    return (make_study(number, patients) for number in range(first, first + count))


def _instance_entry(study: str, series: MadeSeries, number: int, uid: str, sop_class: str) -> Entry:
    return {
        "00080016": {"vr": "UI", "Value": [sop_class]},
        "00080018": {"vr": "UI", "Value": [uid]},
        "00080056": {"vr": "CS", "Value": ["ONLINE"]},
        "00081190": {"vr": "UR", "Value": [f"instances/{uid}"]},
        "0020000D": {"vr": "UI", "Value": [study]},
        "0020000E": {"vr": "UI", "Value": [series.uid]},
        "00200013": {"vr": "IS", "Value": [number]},
    }


def write_archive(root: Path, studies: Iterable[MadeStudy]) -> Archive:
    """The index files of `studies`, and nothing of their instances; for searches, not for retrieving."""
    archive = Archive(str(root), create=True)
    archive.create_marker()
    for study in studies:
        _write(root, Resource(View.INDEX, study.uid), [study.entry])
        _write(root, Resource(View.SERIES, study.uid), [one.entry for one in study.series])
        sop_class = study.entry["00080062"]["Value"][0]
        for one in study.series:
            entries = [
                _instance_entry(study.uid, one, number, uid, sop_class)
                for number, uid in enumerate(one.instances, 1)
            ]
            _write(root, Resource(View.INSTANCES, study.uid, one.uid), entries)
    return archive


def write_list(root: Path, studies: Iterable[MadeStudy]) -> None:
    """The list of all studies; this alone holds all of their entries."""
    _write(root, Resource(View.STUDIES), sort_studies(study.entry for study in studies))


def _write(root: Path, resource: Resource, entries: list[Entry]) -> None:
    place = root / layout.stored_as(resource).key
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(compress(orjson.dumps(entries)))
