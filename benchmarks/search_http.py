"""Searches over HTTP: dicomwebserver over index files, and Orthanc beside it."""

import http.client
import io
import json
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

from benchmarks.made_studies import MadeStudy, make_studies, write_archive, write_list
from benchmarks.search_kinds import KINDS, PAGE, Kind, Pairs
from tests.clients.servers import Orthanc, find_orthanc
from tests.e2e.conftest import dicomwebserver

_COMPUTED = {"00080056", "00080061", "00080062", "00081190", "00201206", "00201208"}


class Asker:
    """Asks a DICOMweb service over one connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._path = parts.path
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=600)

    def __call__(self, path: str, keys: Pairs) -> int:
        text = "&".join(f"{name}={quote(value, safe='*^')}" for name, value in [("limit", str(PAGE)), *keys])
        response = self._answer(f"{self._path}/{path}?{text}")
        body = response.read()
        if response.status not in (200, 204):
            raise SystemExit(f"{path}?{text}: {response.status} {body[:300]!r}")
        return len(json.loads(body)) if body else 0

    def _answer(self, target: str) -> http.client.HTTPResponse:
        """An answer; Orthanc closes a connection that was idle for a second."""
        accept = {"Accept": "application/dicom+json"}
        try:
            self._connection.request("GET", target, headers=accept)
            return self._connection.getresponse()
        except http.client.RemoteDisconnected:
            self._connection.close()
        self._connection.request("GET", target, headers=accept)
        return self._connection.getresponse()


def instance_of(study: MadeStudy) -> bytes:
    """An instance without pixels that tells the same of its study."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    entry = {tag: element for tag, element in study.entry.items() if tag not in _COMPUTED}
    series = study.series[0]
    entry |= {tag: element for tag, element in series.entry.items() if tag not in {"00081190", "00201209"}}
    entry["00080005"] = {"vr": "CS", "Value": ["ISO_IR 192"]}
    entry["00080016"] = {"vr": "UI", "Value": [study.entry["00080062"]["Value"][0]]}
    entry["00080018"] = {"vr": "UI", "Value": [series.instances[0]]}
    dataset = Dataset.from_json(entry)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def fill(orthanc: Orthanc, studies: Iterable[MadeStudy]) -> float:
    """Store the studies by Orthanc's REST API; the seconds that it took."""
    begun = time.perf_counter()
    url = orthanc.url.removesuffix("/dicom-web") + "/instances"
    for study in studies:
        urlopen(Request(url, instance_of(study)), timeout=60).close()
    return time.perf_counter() - begun


def by_http(folder: Path, count: int, rounds: int, with_orthanc: bool) -> None:
    """Print the table of searches over HTTP."""
    from benchmarks.search import Ask, measure, table

    place = folder / f"http-{count}"
    if not place.exists():
        begun = time.perf_counter()
        write_archive(place, make_studies(count))
        write_list(place, make_studies(count))
        print(f"{count} studies as index files: {time.perf_counter() - begun:.1f} s")
    with ExitStack() as stack:
        begun = time.perf_counter()
        running = stack.enter_context(dicomwebserver("--dir", place))
        print(f"the server listens after {time.perf_counter() - begun:.2f} s", end="")
        asks: dict[str, Ask] = {"ours": Asker(f"{running.url}/dicomweb")}
        asks["ours"]("studies", [])
        print(f", has answered once after {time.perf_counter() - begun:.2f} s", flush=True)
        kinds: Sequence[Kind] = KINDS
        found = find_orthanc() if with_orthanc else None
        if found is not None:
            (folder / "orthanc").mkdir(parents=True, exist_ok=True)
            orthanc = Orthanc(*found, folder / "orthanc")
            orthanc.start()
            stack.callback(orthanc.stop)
            print(f"Orthanc took the studies in {fill(orthanc, make_studies(count)):.0f} s", flush=True)
            asks["Orthanc"] = Asker(orthanc.url)
            kinds = tuple(kind for kind in KINDS if kind.orthanc)
        print("\n".join(table(measure(asks, kinds, count, rounds), list(asks), with_cpu=False)))
