"""Entries of the study index files: what a search answers for a study, a series, an instance (PS3.18
10.6.3.3).

One rule: an entry follows from the metadata of the instances alone, whatever the order they came in. Where
they disagree, the value of the one lowest by series and instance UID stands, and a note says so.
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Any

from staticwado import layout
from staticwado.dicomweb import attributes
from staticwado.dicomweb.resource import Resource, View

Dataset = dict[str, Any]
_ONLINE: Dataset = {"vr": "CS", "Value": ["ONLINE"]}


def first_value(dataset: Dataset, tag: str) -> Any:
    """The first value of `tag`, None if there is none."""
    element = dataset.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if values else None


def _number(dataset: Dataset, tag: str) -> float:
    value = first_value(dataset, tag)
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("inf")


def instance_order(dataset: Dataset) -> tuple[float, str]:
    """Instances by number, then UID."""
    return _number(dataset, "00200013"), str(first_value(dataset, "00080018"))


def series_order(entry: Dataset) -> tuple[float, str]:
    """Series by number, then UID."""
    return _number(entry, "00200011"), str(first_value(entry, "0020000E"))


def sort_studies(entries: Iterable[Dataset]) -> list[Dataset]:
    """Studies by date and time, latest first, then UID."""
    by_uid = sorted(entries, key=lambda entry: str(first_value(entry, "0020000D")))
    return sorted(
        by_uid,
        key=lambda entry: (
            str(first_value(entry, "00080020") or ""),
            str(first_value(entry, "00080030") or ""),
        ),
        reverse=True,
    )


def _finish(entry: Dataset, required: Sequence[str], resource: Resource) -> Dataset:
    for tag in required:
        entry.setdefault(tag, {"vr": attributes.VR_OF_REQUIRED[tag]})
    entry[attributes.INSTANCE_AVAILABILITY] = _ONLINE
    entry[attributes.RETRIEVE_URL] = {"vr": "UR", "Value": [layout.retrieve_url(resource)]}
    return dict(sorted(entry.items()))


def instance_entry(dataset: Dataset, study: str, series: str, instance: str) -> Dataset:
    """The entry of one instance."""
    wanted = (*attributes.INSTANCE_REQUIRED, *attributes.INSTANCE_KNOWN)
    entry = {tag: dataset[tag] for tag in wanted if tag in dataset}
    return _finish(entry, attributes.INSTANCE_REQUIRED, Resource(View.PART10, study, series, instance))


Groups = Sequence[tuple[Sequence[Dataset], Set[str] | None]]
"""Data sets in the order in which they take precedence, and the tags that vary within each group."""


def _elements(groups: Groups, tag: str) -> Iterator[Any]:
    """The elements of `tag` in order; one stands for all of a group that agrees."""
    for datasets, varying in groups:
        one_for_all = varying is not None and tag not in varying
        for dataset in datasets[:1] if one_for_all else datasets:
            yield dataset.get(tag)


def _agreed(groups: Groups, wanted: Iterable[str], what: str, notes: list[str]) -> Dataset:
    """The attributes `wanted` of `groups`."""
    entry: Dataset = {}
    for tag in wanted:
        found = None
        for element in _elements(groups, tag):
            if element is None or element is found:
                continue
            if found is None or (_is_empty(found) and not _is_empty(element)):
                found = element
            elif element != found and not _is_empty(element):
                notes.append(
                    f"instances of {what} disagree on {tag[:4]},{tag[4:]}; the first one's value stands"
                )
                break
        if found is not None:
            entry[tag] = found
    return entry


def _is_empty(element: Any) -> bool:
    return isinstance(element, dict) and len(element) == 1


def _by_uid(datasets: Iterable[Dataset]) -> list[Dataset]:
    return sorted(datasets, key=lambda dataset: str(first_value(dataset, "00080018")))


def series_entry(
    datasets: Sequence[Dataset], study: str, series: str, notes: list[str], varying: Set[str] | None = None
) -> Dataset:
    """The entry of a series from the metadata of its instances.

    `varying`, where it is known, holds every tag whose elements are not the same in all instances.
    """
    wanted = (*attributes.SERIES_REQUIRED, *attributes.SERIES_KNOWN)
    entry = _agreed([(_by_uid(datasets), varying)], wanted, f"series {series}", notes)
    entry["00201209"] = {"vr": "IS", "Value": [len(datasets)]}
    return _finish(entry, attributes.SERIES_REQUIRED, Resource(View.PART10, study, series))


def study_entry(
    by_series: Sequence[tuple[str, Sequence[Dataset], Set[str] | None]], study: str, notes: list[str]
) -> Dataset:
    """The entry of a study from its series: of each the UID, the metadata and the varying tags."""
    ordered = [
        (_by_uid(datasets), varying) for _, datasets, varying in sorted(by_series, key=lambda one: one[0])
    ]
    wanted = (*attributes.STUDY_REQUIRED, *attributes.STUDY_KNOWN)
    entry = _agreed(ordered, wanted, f"study {study}", notes)
    # an empty list, where J-04 would have no Value: OHIF 3.13 reads its length unasked, and one study
    # without a modality would empty the whole study list (docs/decisions/0004)
    entry[attributes.MODALITIES_IN_STUDY] = {"Value": [], **_collected("CS", ordered, "00080060")}
    entry[attributes.SOP_CLASSES_IN_STUDY] = _collected("UI", ordered, "00080016")
    entry["00201206"] = {"vr": "IS", "Value": [len(by_series)]}
    entry["00201208"] = {"vr": "IS", "Value": [sum(len(datasets) for datasets, _ in ordered)]}
    return _finish(entry, attributes.STUDY_REQUIRED, Resource(View.PART10, study))


def _collected(vr: str, groups: Groups, tag: str) -> Dataset:
    values = (first_value({tag: element}, tag) for element in _elements(groups, tag))
    known = sorted({str(value) for value in values if value is not None and not isinstance(value, dict)})
    return {"vr": vr, "Value": known} if known else {"vr": vr}


# -- merging: what a search shows of instances before their index files are made ----------------------------


def merge_series(entry: Dataset, dataset: Dataset) -> Dataset:
    """The entry of a series with one more instance: values that are there stand, empty ones are filled."""
    wanted = (*attributes.SERIES_REQUIRED, *attributes.SERIES_KNOWN)
    return dict(sorted({**_filled(entry, dataset, wanted), "00201209": _plus(entry, "00201209", 1)}.items()))


def merge_study(entry: Dataset, dataset: Dataset, *, new_series: bool) -> Dataset:
    """The entry of a study with one more instance, which may be the first of its series."""
    merged = _filled(entry, dataset, (*attributes.STUDY_REQUIRED, *attributes.STUDY_KNOWN))
    merged[attributes.MODALITIES_IN_STUDY] = {
        "Value": [],
        **_with(entry.get(attributes.MODALITIES_IN_STUDY), "CS", dataset, "00080060"),
    }
    merged[attributes.SOP_CLASSES_IN_STUDY] = _with(
        entry.get(attributes.SOP_CLASSES_IN_STUDY), "UI", dataset, "00080016"
    )
    merged["00201206"] = _plus(entry, "00201206", int(new_series))
    merged["00201208"] = _plus(entry, "00201208", 1)
    return dict(sorted(merged.items()))


def _filled(entry: Dataset, dataset: Dataset, wanted: Iterable[str]) -> Dataset:
    merged = dict(entry)
    for tag in wanted:
        element, found = dataset.get(tag), merged.get(tag)
        if element is not None and (found is None or (_is_empty(found) and not _is_empty(element))):
            merged[tag] = element
    return merged


def _plus(entry: Dataset, tag: str, more: int) -> Dataset:
    return {"vr": "IS", "Value": [int(first_value(entry, tag) or 0) + more]}


def _with(element: Any, vr: str, dataset: Dataset, tag: str) -> Dataset:
    value = first_value(dataset, tag)
    known = set(element.get("Value", ())) if isinstance(element, dict) else set()
    if value is not None and not isinstance(value, dict):
        known.add(str(value))
    return {"vr": vr, "Value": sorted(known)} if known else {"vr": vr}
