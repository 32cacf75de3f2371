"""Which values of a study its instances refer to.

One rule: what cannot be read may refer to anything, so nothing is called unreferenced then.
"""

import re
from collections.abc import Iterable

from staticwado.archive import Archive
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import NotFound, StaticWadoError

_ADDRESS = re.compile(rb"[0-9a-f]{2}/[0-9a-f]{62}\.[a-z0-9]+")


def references(archive: Archive, study: str, series: str, instance: str) -> set[str]:
    """Addresses of values that the metadata and the skeleton of an instance name.

    Raises NotFound or StoreUnavailable.
    """
    metadata = archive.read(Resource(View.METADATA, study, series, instance))
    skeleton = archive.read(Resource(View.SKELETON, study, series, instance)).partition(b"\n")[0]
    return {one.decode() for text in (metadata, skeleton) for one in _ADDRESS.findall(text)}


def referenced(archive: Archive, study: str, instances: Iterable[tuple[str, str]]) -> set[str]:
    """The same for several instances, as far as they can be read."""
    found: set[str] = set()
    for series, instance in instances:
        try:
            found |= references(archive, study, series, instance)
        except StaticWadoError:
            continue
    return found


def unreferenced(archive: Archive, study: str, addresses: Iterable[str]) -> set[str]:
    """Those of `addresses` that no instance of the study refers to."""
    left = set(addresses)
    for series in archive.series(study) if left else ():
        for instance in archive.instances(study, series):
            try:
                left -= references(archive, study, series, instance)
            except NotFound:
                continue
            except StaticWadoError:
                return set()
            if not left:
                return left
    return left
