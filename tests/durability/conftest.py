"""A fresh folder in memory for what is written, broken and thrown away."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.durability import campaign


@pytest.fixture
def place() -> Iterator[Path]:
    folder = campaign.place()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
