"""A folder for the cases of one worker, in memory where the system has such a place."""

import tempfile
from pathlib import Path


def scratch_folder() -> Path:
    """A new, empty folder; whoever asked for it removes it."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="staticwado-fuzz-", dir=memory if memory.is_dir() else None))
