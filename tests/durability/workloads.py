"""What is done to an archive while it is watched: each workload has a durable beginning and a story.

One rule: every story can be told again after it was broken off, and then succeeds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from staticwado import layout
from staticwado.ingest import trash
from staticwado.ingest.background import Settler
from staticwado.ingest.catalogue import open_catalog
from staticwado.ingest.intake import IntakeOptions
from staticwado.ingest.restore import restore
from staticwado.ingest.settle import index, settle
from tests import factories
from tests.durability.acting import Site, item, together


@dataclass(frozen=True, slots=True)
class Workload:
    """A story that is recorded, broken and killed."""

    name: str
    begin: Callable[[Site], None]
    run: Callable[[Site], None]


def _nothing(site: Site) -> None:
    return


def _one(site: Site) -> None:
    site.create([item(1)])


def _create_second(site: Site) -> None:
    site.create([item(2)])


def _create_conflict(site: Site) -> None:
    site.create([item(1, comment="other"), item(3)])


def _create_transcoded(site: Site) -> None:
    site.create([item(4), item(5)], "jls")


def _create_burst(site: Site) -> None:
    for seed in range(10, 14):
        site.create([item(seed, series=seed % 2)])


def _create_many(site: Site) -> None:
    site.create([item(seed, study=seed % 2, series=seed % 3, image=seed % 2 == 0) for seed in range(20, 26)])


def _two_creators(site: Site) -> None:
    together(lambda: site.create([item(6), item(7)]), lambda: site.create([item(7), item(8)]))


def _rebuild(site: Site) -> None:
    index(site.archive)


CREATING = [
    Workload("create: first instance", _nothing, _one),
    Workload("create: second instance", _one, _create_second),
    Workload("create: conflict", _one, _create_conflict),
    Workload("create: transcode", _one, _create_transcoded),
    Workload("create: burst", _one, _create_burst),
    Workload("create: two studies", _nothing, _create_many),
    Workload("create: two writers", _one, _two_creators),
    Workload("index: rebuild", _create_many, _rebuild),
]


def _three(site: Site) -> None:
    site.create([item(1), item(2), item(3, series=1)])


def _take_first(site: Site) -> None:
    site.take([item(1)])


def _take_second(site: Site) -> None:
    site.take([item(2)])


def _take_conflict(site: Site) -> None:
    site.take([item(1, comment="other"), item(4)])


def _take_replace(site: Site) -> None:
    site.take([item(1, comment="other"), item(4)], IntakeOptions(on_conflict="replace"))


def _take_keep(site: Site) -> None:
    site.take([item(1, comment="other"), item(4)], IntakeOptions(on_conflict="keep"))


def _take_at_once(site: Site) -> None:
    site.take([item(seed, study=seed % 2) for seed in range(30, 34)], calls=2)


def _take_burst(site: Site) -> None:
    for seed in range(40, 44):
        site.take([item(seed, series=1)])
    settle(site.archive)


def _take_transcoded(site: Site) -> None:
    site.take([item(4)], IntakeOptions(transcode="jls"))


def _take_with_catalog(site: Site) -> None:
    site.with_catalog = True
    site.take([item(seed, study=seed % 2) for seed in range(50, 54)], calls=2)


def _take_in_two_places(site: Site) -> None:
    """The same SOP Instance UID in two studies at once: only one of them may be taken in."""
    site.with_catalog = True
    uid = factories.uid("instance", "of two studies")
    site.take([item(60, study=study, instance=uid) for study in (0, 1)], calls=2)


def _delete_instance(site: Site) -> None:
    site.delete([item(1)])


def _delete_series(site: Site) -> None:
    site.delete([item(3, series=1)])


def _delete_study(site: Site) -> None:
    site.delete([item(1), item(2), item(3, series=1)], level=1)


def _delete_and_again(site: Site) -> None:
    site.delete([item(1)])
    site.take([item(1)])
    site.delete([item(1), item(2)])


def _two_deleted(site: Site) -> None:
    _three(site)
    site.delete([item(1)])
    site.delete([item(3, series=1)], level=2)


def _restore(site: Site) -> None:
    for one in (item(1), item(3, series=1)):
        site.promises.begin(one.place, one.sha256)
    for entry in list(trash.entries(site.archive)):
        restore(site.archive, entry.id)
        for one in (item(1), item(3, series=1)):
            if entry.series == one.uids[1]:
                site.promises.keep(one.place, one.sha256)


def _delete_and_empty(site: Site) -> None:
    site.delete([item(1)])
    trash.empty(site.archive, timedelta(0))


def _three_owed(site: Site) -> None:
    _three(site)
    site.take([item(4), item(5, study=1)])


def _settle_behind(site: Site) -> None:
    """What the process behind a server does once it has been quiet."""
    catalog = open_catalog(site.archive.store.path(layout.CATALOG))
    settler = Settler(site.archive, catalog, after=0.0)
    try:
        while settler.look():
            pass
        settler.finish()
    finally:
        if catalog is not None:
            catalog.close()


def _settle_while_taking(site: Site) -> None:
    together(lambda: _settle_behind(site), lambda: site.take([item(6), item(7, study=1)]))


def _delete_while_taking(site: Site) -> None:
    together(lambda: site.delete([item(1)]), lambda: site.take([item(5)]))


STORING = [
    Workload("take: first instance", _nothing, _take_first),
    Workload("take: second instance", _one, _take_second),
    Workload("take: conflict", _one, _take_conflict),
    Workload("take: replace", _one, _take_replace),
    Workload("take: keep", _one, _take_keep),
    Workload("take: two writers", _one, _take_at_once),
    Workload("take: burst, settled", _three, _take_burst),
    Workload("take: transcode", _one, _take_transcoded),
    Workload("take: with a catalog", _one, _take_with_catalog),
    Workload("take: in two places", _one, _take_in_two_places),
    Workload("delete: instance", _three, _delete_instance),
    Workload("delete: series", _three, _delete_series),
    Workload("delete: study", _three, _delete_study),
    Workload("delete: and store again", _three, _delete_and_again),
    Workload("trash: undo", _two_deleted, _restore),
    Workload("trash: delete and empty", _three, _delete_and_empty),
    Workload("delete: while taking in", _three, _delete_while_taking),
    Workload("settle: behind a server", _three_owed, _settle_behind),
    Workload("settle: while taking in", _three_owed, _settle_while_taking),
]
WORKLOADS = CREATING + STORING
