"""Instances given back: the list of them, what may be sent, and the zip."""

import io
import zipfile
from pathlib import Path

import pytest

from staticwado.archive import Archive
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import StoreUnavailable
from staticwado.ingest.export import Kept, SentFile, kept_instances, zip_stream
from tests import factories
from tests.factories import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, JPEG_LOSSLESS
from tests.ingest.conftest import Convert
from tests.ingest.test_rebuild import damage


def everything(archive: Archive) -> list[Kept]:
    return list(kept_instances(archive, Resource(View.PART10, factories.uid("study", 0))))


def test_instances_are_listed_at_each_level_in_the_order_of_their_uids(
    archive: Archive, files: dict[str, bytes]
) -> None:
    found = everything(archive)
    assert [one.file_name for one in found] == sorted(files)
    one = found[3]
    in_series = [each for each in found if each.series == one.series]
    series = Resource(View.PART10, one.study, one.series)
    assert list(kept_instances(archive, series)) == in_series
    assert list(kept_instances(archive, Resource(View.PART10, one.study, one.series, one.instance))) == [one]


def test_what_is_not_there_is_not_listed(archive: Archive) -> None:
    one = everything(archive)[0]
    wrong = next(each.series for each in everything(archive) if each.series != one.series)
    for resource in (
        Resource(View.PART10, "9.9"),
        Resource(View.PART10, one.study, "9.9"),
        Resource(View.PART10, one.study, one.series, "9.9"),
        Resource(View.PART10, one.study, wrong, one.instance),
    ):
        assert list(kept_instances(archive, resource)) == []


def test_an_instance_without_metadata_does_not_exist(archive: Archive, root: Path) -> None:
    one = everything(archive)[0]
    next(root.rglob(f"{one.instance}/metadata.gz")).unlink()
    left = everything(archive)
    assert len(left) == 5
    assert one not in left


def test_a_zip_holds_every_file_as_it_was(archive: Archive, files: dict[str, bytes]) -> None:
    data = b"".join(zip_stream(archive, everything(archive)))
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        assert packed.testzip() is None
        assert packed.namelist() == sorted(files)
        assert {name: packed.read(name) for name in packed.namelist()} == files
        assert {one.date_time for one in packed.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert b"".join(zip_stream(archive, everything(archive))) == data


def test_a_zip_that_fails_ends_with_the_exception_and_is_no_zip(archive: Archive, root: Path) -> None:
    last = everything(archive)[-1]
    damage(next(root.rglob(f"{last.instance}/frames/1.mht")))
    sent: list[bytes] = []
    with pytest.raises(StoreUnavailable, match="hash"):
        sent.extend(zip_stream(archive, everything(archive)))
    assert sum(map(len, sent)) > 1000
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(b"".join(sent)))


def test_a_skeleton_that_is_lost_is_told(archive: Archive, root: Path) -> None:
    one = everything(archive)[0]
    next(root.rglob(f"{one.instance}/skeleton.gz")).unlink()
    assert len(everything(archive)) == 6
    with pytest.raises(StoreUnavailable, match="skeleton"):
        SentFile(archive, one)
    with pytest.raises(StoreUnavailable, match="skeleton"):
        list(zip_stream(archive, everything(archive)))


@pytest.mark.parametrize(
    ("arguments", "stored", "plain"),
    [
        ({"syntax": EXPLICIT}, EXPLICIT, EXPLICIT),
        ({"syntax": IMPLICIT}, EXPLICIT, EXPLICIT),
        ({"syntax": BIG_ENDIAN}, EXPLICIT, EXPLICIT),
        ({"syntax": DEFLATED}, DEFLATED, EXPLICIT),
        ({"syntax": EXPLICIT, "preamble": False, "meta": False}, EXPLICIT, EXPLICIT),
        ({"syntax": JPEG_LOSSLESS, "frames": [factories.codestream(800)]}, JPEG_LOSSLESS, JPEG_LOSSLESS),
    ],
)
def test_what_is_sent_says_truly_what_it_is(
    root: Path, tmp_path: Path, convert: Convert, arguments: dict[str, object], stored: str, plain: str
) -> None:
    data = factories.instance(**{"frames": factories.pixels(4, 4), **arguments})  # type: ignore[arg-type]
    (tmp_path / "one").write_bytes(data)
    assert convert(tmp_path / "one").outcomes[0].ok
    [kept] = everything(Archive(str(root)))
    file = SentFile(Archive(str(root)), kept)
    assert (file.stored, file.plain) == (stored, plain)
    original = stored == arguments["syntax"] and "meta" not in arguments
    for syntax in file.syntaxes:
        body = b"".join(file.chunks(syntax))
        assert body[128:132] == b"DICM"
        assert syntax.encode() in body[:400]
        as_it_was = original and syntax == stored
        assert (body == data) == as_it_was
        assert file.length(syntax) == (len(data) if as_it_was else None)


@pytest.mark.parametrize("syntax", [IMPLICIT, DEFLATED])
def test_a_file_that_is_rewritten_is_checked_whole(
    root: Path, tmp_path: Path, convert: Convert, syntax: str
) -> None:
    """Also the preamble, of which nothing is sent."""
    (tmp_path / "one").write_bytes(factories.instance(syntax=syntax, frames=factories.pixels(4, 4, 2)))
    assert convert(tmp_path / "one").outcomes[0].ok
    archive = Archive(str(root))
    [kept] = everything(archive)
    assert list(SentFile(archive, kept).chunks(EXPLICIT))
    skeleton = Resource(View.SKELETON, kept.study, kept.series, kept.instance)
    head, _, raw = archive.read(skeleton).partition(b"\n")
    archive.write(skeleton, head + b"\n\1" + raw[1:])
    with pytest.raises(StoreUnavailable, match="hash"):
        list(SentFile(archive, kept).chunks(EXPLICIT))
