"""Deleting over HTTP: DELETE of a study, a series or an instance, and 410 for what is gone.

One rule: 204 is said when the deletion is durable and no search shows it any more.
"""

from datetime import timedelta

from staticwado.archive import Archive, describe
from staticwado.catalog.database import Catalog
from staticwado.dicom.uid import is_uid
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import Gone, NotFound
from staticwado.ingest import trash
from staticwado.ingest.delete import delete as move_to_trash
from staticwado.ingest.settle import settle
from staticwado.web.answer import Answer


def is_deletable(resource: Resource) -> bool:
    """Whether `resource` is what can be deleted: a study, a series or an instance."""
    return resource.view is View.PART10 and resource.study is not None


def delete(
    archive: Archive, resource: Resource, by: str, retention: timedelta, catalog: Catalog | None = None
) -> Answer:
    """Delete `resource`, which is then in the trash for as long as `retention` says.

    Blocks. Raises NotFound, Gone, StoreUnavailable.
    """
    entry = move_to_trash(archive, resource, by)
    settle(archive, [entry.study], catalog, index=False)
    if not retention:
        trash.discard(archive, entry.id)
    return Answer("text/plain", b"", 204, vary="", view="delete")


def explain_missing(archive: Archive, resource: Resource, error: NotFound) -> NotFound:
    """The error to raise for a resource that was not found: Gone if what it belongs to was deleted."""
    if isinstance(error, Gone) or resource.study is None or not trash.was_deleted(archive, resource):
        return error
    return Gone(f"{describe(resource)} has been deleted")


def named_by(parameters: tuple[tuple[str, str], ...]) -> Resource:
    """The instance that the parameters of WADO-URI name, as far as they name one."""
    given = {name: value for name, value in parameters if is_uid(value)}
    return Resource(View.PART10, given.get("studyUID"), given.get("seriesUID"), given.get("objectUID"))
