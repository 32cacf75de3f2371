"""Every file of the corpus comes back by every way: folder, zip, and over HTTP, also to dicomweb-client."""

import hashlib
import io
import urllib.request
import zipfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient

from staticwado.archive import Archive
from staticwado.cli.mkdicomweb import mkdicomweb
from staticwado.dicom.transfer_syntax import TRANSFER_SYNTAXES
from staticwado.dicomweb.resource import Resource, View
from staticwado.ingest.export import SentFile, kept_instances, zip_stream
from staticwado.ingest.pipeline import CreateOptions, create
from staticwado.store.local import LocalStore
from tests.dicom.test_rewrite import differences
from tests.e2e.conftest import Served
from tests.truth import part10 as truth
from tests.truth.corpus import Corpus, identity_of, read_corpus
from tests.verdicts import REFUSED

pytestmark = pytest.mark.timeout(900)

EXPLICIT = "1.2.840.10008.1.2.1"
NOT_SENT = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.2"})
LOSSY = frozenset(uid for uid, syntax in TRANSFER_SYNTAXES.items() if syntax.lossy)
DICOM = 'multipart/related; type="application/dicom"'


class World:
    """The corpus by the UIDs of its instances."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus

    @cached_property
    def paths(self) -> dict[tuple[str, str, str], Path]:
        return {identity_of(truth.read_path(path)): path for path in self.corpus.valid}

    @cached_property
    def studies(self) -> list[str]:
        return sorted({study for study, _, _ in self.paths})

    def names(self, study: str) -> dict[str, str]:
        """SHA-256 of the files of a study, by the name under which they are given back."""
        return {
            "/".join(uids) + ".dcm": digest(path.read_bytes())
            for uids, path in self.paths.items()
            if uids[0] == study
        }


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="module")
def world(testdata: Path) -> World:
    return World(read_corpus(testdata))


def part10(*arguments: str | Path) -> int:
    """The command, in this process: there are more than a hundred studies."""
    code = mkdicomweb.main(["part10", *map(str, arguments)], "mkdicomweb", standalone_mode=False)
    assert isinstance(code, int)
    return code


@pytest.fixture
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(LocalStore, "sync", lambda self: None)  # hundreds of runs


@pytest.mark.usefixtures("_no_settings")
def test_the_command_gives_every_file_back_into_a_folder(world: World, archive: Path, tmp_path: Path) -> None:
    for study in world.studies:
        assert part10(study, "--dir", archive, "--out", tmp_path / "out") == 0
        found = (path for path in (tmp_path / "out" / study).rglob("*") if path.is_file())
        given = {path.relative_to(tmp_path / "out").as_posix(): digest(path.read_bytes()) for path in found}
        assert given == world.names(study)
    assert len(list((tmp_path / "out").iterdir())) == len(world.studies)


@pytest.mark.usefixtures("_no_settings")
def test_the_command_gives_every_file_back_in_zips(world: World, archive: Path, tmp_path: Path) -> None:
    for number, study in enumerate(world.studies):
        place = tmp_path / f"{number}.zip"
        assert part10(study, "--dir", archive, "--out", place) == 0
        assert unzipped(place.read_bytes()) == world.names(study)
        place.unlink()


def unzipped(data: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        assert packed.testzip() is None
        return {name: digest(packed.read(name)) for name in packed.namelist()}


def fetch(url: str, accept: str) -> tuple[str, bytes]:
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": accept})) as reply:
        assert reply.status == 200
        return reply.headers["Content-Type"], reply.read()


def test_the_server_gives_every_file_back_in_zips(world: World, served: Served) -> None:
    for study in world.studies:
        media_type, body = fetch(f"{served.url}/dicomweb/studies/{study}", "application/zip")
        assert media_type == "application/zip"
        assert unzipped(body) == world.names(study)


def parts(media_type: str, body: bytes) -> Iterator[tuple[str, bytes]]:
    """(transfer syntax, body) of each part."""
    delimiter = b"\r\n--" + media_type.partition("boundary=")[2].encode()
    pieces = (b"\r\n" + body).split(delimiter)
    assert (pieces[0], pieces[-1]) == (b"", b"--\r\n")
    for piece in pieces[1:-1]:
        head, _, data = piece.partition(b"\r\n\r\n")
        yield head.partition(b"transfer-syntax=")[2].partition(b"\r\n")[0].decode(), data


def test_the_server_sends_every_file_as_it_came_where_it_may(world: World, served: Served) -> None:
    sent = set()
    for study in world.studies:
        url = f"{served.url}/dicomweb/studies/{study}"
        for syntax, data in parts(*fetch(url, f"{DICOM}; transfer-syntax=*")):
            dataset = truth.read(data, truth.dictionary_sequence)
            assert dataset.syntax == syntax
            uids = identity_of(dataset)
            sent.add(uids)
            faults = list(sent_faults(world.paths[uids].read_bytes(), data, syntax))
            assert not faults, (world.paths[uids], faults)
    assert sent == set(world.paths)


def sent_faults(source: bytes, data: bytes, syntax: str) -> Iterator[str]:
    """Where what was sent is not what was stored."""
    dataset = truth.read(source, truth.dictionary_sequence)
    if dataset.syntax not in NOT_SENT:
        if source != data:
            yield "other bytes"
        return
    if syntax != EXPLICIT:
        yield f"sent as {syntax}"
    yield from differences(dataset, truth.read(data), dataset.number(0x00280100))


def test_the_server_sends_what_is_not_lossy_as_explicit_little_endian(world: World, served: Served) -> None:
    """Native, or lossless and decoded on the way (R-02)."""
    seen = set()
    for study in world.studies:
        for syntax, data in parts(*fetch(f"{served.url}/dicomweb/studies/{study}", DICOM)):
            found = truth.read(data, truth.dictionary_sequence)
            path = world.paths[identity_of(found)]
            stored = truth.read_path(path).syntax
            kept = stored in LOSSY or path.name in REFUSED
            assert (found.syntax, syntax) == (syntax, stored if kept else EXPLICIT), path
            seen.add(stored)
    assert len(seen) > 5


def test_dicomweb_client_retrieves_studies_series_and_instances(world: World, served: Served) -> None:
    client = DICOMwebClient(f"{served.url}/dicomweb")
    kinds: dict[str, tuple[str, str, str]] = {}
    for uids, path in world.paths.items():
        kinds.setdefault(truth.read_path(path).syntax, uids)
    for study, series, instance in kinds.values():
        found = client.retrieve_instance(study, series, instance)
        assert found.SOPInstanceUID == instance
        for every in (client.retrieve_study(study), client.retrieve_series(study, series)):
            assert instance in [each.SOPInstanceUID for each in every]
        whole = {each.SOPInstanceUID for each in client.retrieve_study(study)}
        assert whole == {uids[2] for uids in world.paths if uids[0] == study}
    assert len(kinds) > 10


def test_dicomweb_client_gets_the_very_elements(world: World, served: Served) -> None:
    client = DICOMwebClient(f"{served.url}/dicomweb")
    uids = next(uids for uids, path in world.paths.items() if truth.read_path(path).syntax == EXPLICIT)
    [found] = client.retrieve_series(uids[0], uids[1], media_types=(("application/dicom", EXPLICIT),))[:1]
    source = world.paths[uids[0], uids[1], str(found.SOPInstanceUID)]
    assert found == pydicom.dcmread(source)


def test_each_variant_alone_comes_back_and_is_sent(
    testdata: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalStore, "sync", lambda self: None)  # hundreds of archives
    paths = read_corpus(testdata).variants
    if not paths:
        pytest.skip("there are no variants")
    for number, path in enumerate(paths):
        source = path.read_bytes()
        archive = Archive(str(tmp_path / str(number)), create=True)
        [one] = create(archive, [str(path)], CreateOptions(jobs=1, thumbnails=False)).outcomes
        [kept] = kept_instances(archive, Resource(View.PART10, one.study))
        assert list(unzipped(b"".join(zip_stream(archive, [kept]))).values()) == [digest(source)], path
        file = SentFile(archive, kept)
        data = b"".join(file.chunks(file.stored))
        assert list(sent_faults(source, data, file.stored)) == [], path
