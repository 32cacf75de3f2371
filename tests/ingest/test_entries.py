"""Index entries follow from the instances alone."""

import random
from typing import Any

from staticwado.ingest import entries


def dataset(instance: str, **values: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"00080018": {"vr": "UI", "Value": [instance]}}
    for tag, value in values.items():
        made[tag[1:]] = {"vr": "LO"} if value is None else {"vr": "LO", "Value": [value]}
    return made


def test_the_lowest_uid_that_has_a_value_wins_and_a_note_says_so() -> None:
    given = [
        dataset("1.3", t00081030="third"),
        dataset("1.1", t00081030=None),
        dataset("1.2", t00081030="second"),
        dataset("1.4"),
    ]
    for seed in range(5):
        random.Random(seed).shuffle(given)
        notes: list[str] = []
        entry = entries.study_entry([("1.9", given, None)], "1", notes)
        assert entry["00081030"]["Value"] == ["second"]
        assert notes == ["instances of study 1 disagree on 0008,1030; the first one's value stands"]


def test_counts_and_collections_are_made() -> None:
    ct = dataset("1.1", t00080060="CT", t00080016="1.2.3")
    mr = dataset("1.2", t00080060="MR", t00080016="1.2.4")
    entry = entries.study_entry([("1.8", [mr, ct], None), ("1.9", [dataset("1.3")], set())], "1", [])
    assert entry["00080061"]["Value"] == ["CT", "MR"]
    assert entry["00201206"]["Value"] == [2]
    assert entry["00201208"]["Value"] == [3]
    assert entry["00081190"]["Value"] == ["studies/1"]
    assert list(entry) == sorted(entry)
    series = entries.series_entry([mr, ct], "1", "1.8", [])
    assert series["00201209"]["Value"] == [2]
    assert series["00081190"]["Value"] == ["series/1.8"]


def test_required_attributes_are_there_if_nothing_is_known() -> None:
    for entry in (
        entries.study_entry([("1.2", [dataset("1.3")], None)], "1", []),
        entries.series_entry([dataset("1.3")], "1", "1.2", []),
        entries.instance_entry(dataset("1.3"), "1", "1.2", "1.3"),
    ):
        assert all("vr" in element for element in entry.values())
        assert entry["00080056"]["Value"] == ["ONLINE"]
    assert entries.study_entry([("1.2", [dataset("1.3")], None)], "1", [])["00100020"] == {"vr": "LO"}


def test_a_study_without_a_modality_does_not_break_the_list_of_ohif() -> None:
    """Its length is read unasked there: an empty list, not a missing one (docs/decisions/0004)."""
    entry = entries.study_entry([("1.2", [dataset("1.3")], None)], "1", [])
    assert entry["00080061"] == {"vr": "CS", "Value": []}


def test_numbers_that_are_none_come_last() -> None:
    def numbered(uid: str, number: Any) -> dict[str, Any]:
        made = dataset(uid)
        if number is not None:
            made["00200013"] = {"vr": "IS", "Value": [number]}
        return made

    given = [numbered("1.4", None), numbered("1.3", "x"), numbered("1.2", 10), numbered("1.1", 9)]
    found = [entries.first_value(one, "00080018") for one in sorted(given, key=entries.instance_order)]
    assert found == ["1.1", "1.2", "1.3", "1.4"]


def test_studies_are_latest_first() -> None:
    def study(uid: str, date: str | None, time: str = "") -> dict[str, Any]:
        return dataset("1", t0020000D=uid, t00080020=date, t00080030=time)

    given = [
        study("1.3", None),
        study("1.2", "20200101"),
        study("1.1", "20200101", "12"),
        study("1.0", "20210101"),
    ]
    found = [entries.first_value(one, "0020000D") for one in entries.sort_studies(given)]
    assert found == ["1.0", "1.1", "1.2", "1.3"]


def test_a_modality_that_is_a_name_or_a_sequence_does_not_keep_a_study_out_of_the_index() -> None:
    name = dataset("1.1", t00080060="CT")
    name["00080060"] = {"vr": "PN", "Value": [{"Alphabetic": "CT"}]}
    empty = dataset("1.3", t00080060="MR")
    empty["00080016"] = {"vr": "SQ", "Value": [{}]}
    entry = entries.study_entry([("1.8", [name, dataset("1.2", t00080060="MR"), empty], None)], "1", [])
    assert entry["00080061"] == {"vr": "CS", "Value": ["MR"]}
    assert entry["00080062"] == {"vr": "UI"}
