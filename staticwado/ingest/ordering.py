"""The order of series and instances, whether or not their lists hold them yet.

One rule: what a list holds is not read again; what it lacks is.
"""

from collections.abc import Iterable

from staticwado.archive import Archive
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import NotFound, StoreUnavailable
from staticwado.ingest.entries import instance_order, series_order
from staticwado.ingest.summarise import MALFORMED


def ordered_instances(archive: Archive, study: str, series: str, fresh: Iterable[str] = ()) -> list[str]:
    """The instances of a series that exist, in the order of its list; of those that the list lacks, and of
    `fresh` ones, the metadata are read. Raises StoreUnavailable.
    """
    read = set(fresh)
    try:
        listed = archive.read_json(Resource(View.INSTANCES, study, series))
        known = {str(entry["00080018"]["Value"][0]): instance_order(entry) for entry in listed}
    except NotFound:
        known = {}
    except MALFORMED as error:
        raise StoreUnavailable(f"the list of instances of series {series} is damaged: {error}") from error
    found = []
    for instance in archive.instances(study, series):
        order = known.get(instance) if instance not in read else None
        if order is None:
            try:
                dataset = archive.read_json(Resource(View.METADATA, study, series, instance))[0]
            except NotFound:
                continue
            order = instance_order(dataset)
        found.append((order, instance))
    return [instance for _, instance in sorted(found)]


def ordered_series(archive: Archive, study: str, fresh: Iterable[str] = ()) -> list[str]:
    """The series of a study that hold instances, in the order of its list; of those that the list lacks, and
    of `fresh` ones, the metadata of an instance are read. Raises StoreUnavailable.
    """
    read = set(fresh)
    try:
        listed = archive.read_json(Resource(View.SERIES, study))
        known = {str(entry["0020000E"]["Value"][0]): series_order(entry) for entry in listed}
    except NotFound:
        known = {}
    except MALFORMED as error:
        raise StoreUnavailable(f"the list of series of study {study} is damaged: {error}") from error
    found = []
    for series in archive.series(study):
        order = known.get(series) if series not in read else _order_of(archive, study, series)
        if order is not None or (order := _order_of(archive, study, series)) is not None:
            found.append((order, series))
    return [series for _, series in sorted(found)]


def _order_of(archive: Archive, study: str, series: str) -> tuple[float, str] | None:
    """Where a series belongs: by the first of its instances that has a number. None without instances."""
    order = None
    for instance in archive.instances(study, series):
        try:
            dataset = archive.read_json(Resource(View.METADATA, study, series, instance))[0]
        except NotFound:
            continue
        order = series_order(dataset)
        if len(dataset.get("00200011", {"vr": "IS"})) > 1:
            break
    return order
