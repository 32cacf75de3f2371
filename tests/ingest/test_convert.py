"""Converting: what becomes the name of an instance."""

from typing import Any

import pytest

from staticwado.dicom.jsonmodel import Bulk
from staticwado.dicom.sources import ByteSource, MemorySource
from staticwado.errors import InvalidUid
from staticwado.ingest.convert import Converter
from tests.factories import Element, instance


def keep(source: ByteSource, bulk: Bulk) -> str:
    raise NotImplementedError


def inflate(source: ByteSource, offset: int) -> ByteSource:
    raise NotImplementedError


@pytest.mark.parametrize(("vr", "value"), [("DS", "1.20"), ("IS", "12"), ("US", 1), ("FD", 1.5)])
@pytest.mark.parametrize("tag", [0x0020000D, 0x0020000E, 0x00080018])
def test_a_number_is_no_uid_as_digits_of_it_may_be_lost(tag: int, vr: str, value: Any) -> None:
    data = instance(extra=[Element(tag, vr, value)])
    with pytest.raises(InvalidUid, match=f"{tag >> 16:04X},{tag & 0xFFFF:04X}. is a number"):
        Converter(keep, inflate).convert(MemorySource(data))
