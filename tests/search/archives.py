"""An archive of index entries with every kind of value, and searches for them, from a seed."""

import random
from typing import Any

from staticwado.catalog.rows import SeriesRow, StudyRow
from staticwado.ingest.entries import series_order, sort_studies

Entry = dict[str, Any]
Keys = dict[str, tuple[str, str]]
_FAMILIES = [
    "Doe",
    "Müller",
    "Mueller",
    "Sørensen",
    "O'Neill",
    "de la Cruz",
    "Yamada",
    "Smith",
    "Smyth",
    "Ab",
    "É",
    "100%",
]
_GIVEN = ["John", "Zoë", "Jane Mary", "A", "J_n", "[x]", "Hans-Peter", "", "Ann"]
_IDEOGRAPHIC = ["山田^太郎", "佐藤^花子", "王^小东", "ヤマダ^タロウ"]
_PHONETIC = ["やまだ^たろう", "홍^길동"]
_WORDS = [
    "CT",
    "head",
    "Thorax",
    "a*b",
    "100%",
    "l'été",
    "x_y",
    '"quoted"',
    "[set]",
    "tab\there",
    "ABDOMEN",
    "NEAR(",
    "漢字",
    "OR",
]
_DATES = ["20191231", "20200101", "20200102", "20200229", "20210101", "19991231", "20200103"]
_TIMES = ["00", "10", "1000", "100000", "1059", "18", "180001", "235959"]
_MODALITIES = ["CT", "MR", "SR", "PT", "OT"]
STUDY_VRS = {
    "00080020": "DA", "00080030": "TM", "00080050": "SH", "00080061": "CS", "00080062": "UI",
    "00080090": "PN", "00081030": "LO", "00100010": "PN", "00100020": "LO", "00100030": "DA",
    "00100040": "CS", "0020000D": "UI", "00200010": "SH", "00201206": "IS", "00101010": "AS",
}  # fmt: skip
SERIES_VRS = {"00080060": "CS", "0020000E": "UI", "00200011": "IS", "0008103E": "LO"}
INSTANCE_VRS = {"00080018": "UI", "00080016": "UI", "00200013": "IS"}


def _name(chance: random.Random) -> dict[str, str]:
    name = {"Alphabetic": "^".join([chance.choice(_FAMILIES), chance.choice(_GIVEN)][: chance.randint(1, 2)])}
    if chance.random() < 0.2:
        name["Ideographic"] = chance.choice(_IDEOGRAPHIC)
    if chance.random() < 0.1:
        name["Phonetic"] = chance.choice(_PHONETIC)
    return name


def _text(chance: random.Random) -> str:
    return " ".join(chance.choice(_WORDS) for _ in range(chance.randint(1, 3)))


def value_of(chance: random.Random, tag: str, vr: str) -> Any:
    """A value that an attribute may have."""
    if vr == "PN":
        return _name(chance)
    if tag == "00100040":
        return chance.choice("FMO")
    if tag in ("00080061", "00080060"):
        return chance.choice(_MODALITIES)
    if vr == "UI":
        return f"1.2.{chance.randint(1, 9)}"
    if vr == "AS":
        return chance.choice(["030Y", "031Y", "006M"])
    if tag == "00081030" or tag == "0008103E":
        return _text(chance)
    pools = {"DA": _DATES, "TM": _TIMES, "IS": list(range(-1, 9))}
    if vr in pools:
        return chance.choice(pools[vr])
    return chance.choice(["P", "Q", "ID-", "[7]"]) + str(chance.randint(0, 40))


def element_of(chance: random.Random, tag: str, vr: str) -> Entry:
    """An element with no, one, or now and then several or odd values."""
    luck = chance.random()
    if luck < 0.12:
        return {"vr": vr}
    value = value_of(chance, tag, vr)
    if luck < 0.14:
        return {"vr": vr, "Value": [value, None, value_of(chance, tag, vr)]}
    if luck < 0.15:
        return {"vr": vr, "Value": [None]}
    if luck < 0.16 and vr in ("LO", "SH"):
        return {"vr": vr, "Value": [f"{value}\0x"]}
    if luck < 0.18 and vr in ("LO", "SH", "CS"):
        return {"vr": vr, "Value": [f"{value} "]}
    return {"vr": vr, "Value": [value]}


def make_study(chance: random.Random, number: int) -> StudyRow:
    """Study `number`."""
    uid = f"1.9.{number}"
    entry = {tag: element_of(chance, tag, vr) for tag, vr in STUDY_VRS.items() if chance.random() < 0.95}
    entry["0020000D"] = {"vr": "UI", "Value": [uid]}
    kinds = sorted({chance.choice(_MODALITIES) for _ in range(chance.randint(0, 3))})
    entry["00080061"] = {"vr": "CS", "Value": kinds}
    series = []
    for place in range(chance.randint(0, 3)):
        below = {tag: element_of(chance, tag, vr) for tag, vr in SERIES_VRS.items()}
        one = f"{uid}.{place}"
        below |= {"0020000D": {"vr": "UI", "Value": [uid]}, "0020000E": {"vr": "UI", "Value": [one]}}
        instances = tuple(f"{one}.{each}" for each in range(chance.randint(1, 3)))
        series.append(SeriesRow(one, below, instances))
    return StudyRow(uid, entry, tuple(sorted(series, key=lambda row: series_order(row.entry))), None)


def instances_of(study: StudyRow, series: SeriesRow) -> list[Entry]:
    """The entries of the instances of a series."""
    return [
        {
            "00080016": {"vr": "UI", "Value": [f"1.2.{place}"]},
            "00080018": {"vr": "UI", "Value": [uid]},
            "0020000D": {"vr": "UI", "Value": [study.uid]},
            "0020000E": {"vr": "UI", "Value": [series.uid]},
            "00200013": {"vr": "IS", "Value": [place + 1]},
        }
        for place, uid in enumerate(series.instances)
    ]


def in_order(studies: list[StudyRow]) -> list[StudyRow]:
    """Studies as index files have them."""
    by_uid = {row.uid: row for row in studies}
    return [by_uid[entry["0020000D"]["Value"][0]] for entry in sort_studies(row.entry for row in studies)]


# -- Searches ------------------------------------------------------------------------------------------------


def _pattern(chance: random.Random, text: str) -> str:
    if not text:
        return "?"
    start = chance.randrange(len(text))
    piece = text[start : start + chance.randint(1, 6)]
    form = chance.choice(["{}*", "*{}", "*{}*", "{}", "{}?", "?{}", "*{}*{}*"])
    if form == "*{}*{}*":
        return form.format(piece[:3], piece[3:])
    return form.format(text[: start + 1] if form.startswith("{}") else piece)


def _name_key(chance: random.Random) -> str:
    text = chance.choice(list(_name(chance).values()))
    made = chance.choice(
        [text, text.upper(), _pattern(chance, text), text.split("^")[0] + "^*", "*^" + text[-3:]]
    )
    return made.replace("^^", "^") or "?"


def _range(chance: random.Random, values: list[str]) -> str:
    first, last = chance.choice(values), chance.choice(values)
    return chance.choice([first, f"{first}-{last}", f"{first}-", f"-{last}"])


def key_of(chance: random.Random, tag: str, vr: str, *, empty: bool) -> str:
    """What a search may ask of an attribute."""
    if empty and chance.random() < 0.15:
        return '""'
    if vr == "PN":
        return _name_key(chance)
    if vr == "DA":
        return _range(chance, [*_DATES, "20200115"])
    if vr == "TM":
        return _range(chance, _TIMES)
    if vr == "UI":
        if tag == "0020000D":
            return ",".join(f"1.9.{chance.randint(0, 2000)}" for _ in range(chance.randint(1, 20)))
        depth = {"0020000E": 1, "00080018": 2}.get(tag)
        if depth is not None:
            tail = "".join(f".{chance.randint(0, 2)}" for _ in range(depth))
            return f"1.9.{chance.randint(0, 2000)}{tail}"
        return f"1.2.{chance.randint(1, 9)}"
    if vr == "IS":
        return str(chance.randint(-1, 8))
    text = str(value_of(chance, tag, vr))
    if vr in ("CS", "AS") and chance.random() < 0.2:
        return f"{text},{value_of(chance, tag, vr)}"
    return text if vr == "AS" or chance.random() < 0.5 else _pattern(chance, text)


def keys_of(chance: random.Random, vrs: dict[str, str], *, empty: bool) -> Keys:
    """One to three keys."""
    if chance.random() < 0.1 and "00080020" in vrs:
        tags = ["00080020", "00080030"]
    else:
        tags = chance.sample(sorted(vrs), chance.choice([1, 1, 1, 2, 3]))
    return {tag: (vrs[tag], key_of(chance, tag, vrs[tag], empty=empty)) for tag in tags}
