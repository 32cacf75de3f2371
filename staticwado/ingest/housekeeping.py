"""What is done before anybody works on an archive: clearing up after processes that have died.

One rule: nothing here touches what a living process holds, so it may run at any time, beside anybody.
"""

from datetime import timedelta

from staticwado import layout
from staticwado.archive import Archive
from staticwado.ingest import trash


def clear_up(archive: Archive, retention: timedelta) -> list[str]:
    """Clear staging of dead processes, finish or undo what they began in the trash, and empty it of what was
    kept there for longer than `retention`.

    Returns what was done to the trash, in words. Raises StoreUnavailable.
    """
    archive.clear_staging()
    if archive.store.stat(layout.TRASH) is None:
        return []
    return trash.tidy(archive, retention)


def begin(archive: Archive) -> None:
    """Make a folder an archive that can be stored into, if it is none yet. Raises StoreUnavailable."""
    archive.create_marker()
