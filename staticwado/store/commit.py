"""Making writes durable together: who comes while a sync runs shares the next one.

One rule: a sync that failed is never made good by the next one, for the kernel has dropped what it could not
write and says so only once.
"""

import threading
from typing import Protocol

from staticwado.errors import StoreUnavailable


class Durable(Protocol):
    """What can be synced."""

    def sync(self) -> None: ...
    def close(self) -> None: ...


class GroupSync:
    """One sync at a time, for all threads that wait for one.

    The number of syncs does not grow with the number of writers: a sync that begins after a thread has come
    covers all that it has written.
    """

    def __init__(self, target: Durable) -> None:
        self._target = target
        self._changed = threading.Condition()
        self._begun = 0
        """Syncs that have begun, and ..."""
        self._ended = 0
        """... that have ended: all below this number."""
        self._failures = 0
        self._last_error = ""
        self.syncs = 0
        """How many syncs were made."""
        self.waiting = 0
        """How many threads wait for one that somebody else makes."""

    def close(self) -> None:
        """Let go of the file system."""
        self._target.close()

    def begin(self) -> int:
        """A mark to be made before the first write of what will be synced."""
        with self._changed:
            return self._failures

    def wait(self, mark: int) -> None:
        """Return when everything that this thread has written is on stable storage.

        Raises StoreUnavailable if that failed, or if any sync failed since `mark`: it may have been this
        thread's data that were lost, and no later sync would tell.
        """
        with self._changed:
            wanted = self._begun + 1  # one that is running may have passed by what was written last
            while self._ended < wanted:
                if self._begun == self._ended:
                    self._lead()
                else:
                    self.waiting += 1
                    self._changed.wait()
                    self.waiting -= 1
            if self._failures != mark:
                raise StoreUnavailable(f"what was written could not be synced: {self._last_error}")

    def _lead(self) -> None:
        """Make one sync, with the lock given back meanwhile."""
        self._begun += 1
        self.syncs += 1
        self._changed.release()
        failure: str | None = "it was interrupted"
        try:
            self._target.sync()
            failure = None
        except Exception as error:
            failure = str(error)
        finally:
            self._changed.acquire()
            self._ended = self._begun
            if failure is not None:
                self._failures += 1
                self._last_error = failure
            self._changed.notify_all()
