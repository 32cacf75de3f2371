"""Every retrieve call of dicomweb-client on a whole corpus, at this server and at Orthanc, in one run.

    python benchmarks/clients.py CORPUS [--ours] [--every N] [--faults FILE]

Needs Orthanc with its DICOMweb plugin (Debian: orthanc orthanc-dicomweb orthanc-gdcm); with --ours it is left
out. Both are judged by the same code: numbers may be spelled otherwise and elements may be added, values must
be those of the source, and decoded pixels those of GDCM, DCMTK or pydicom as the corpus' manifest has them.
"""

import argparse
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dicomweb_client.api import DICOMwebClient

from tests.clients.bulkdata import bulkdata_calls
from tests.clients.calls import (
    REFUSED,
    RIGHT,
    UNJUDGED,
    WRONG,
    Caller,
    Outcome,
    calls_of_group,
    calls_of_instance,
)
from tests.clients.servers import Orthanc, find_orthanc
from tests.clients.values import Subject, subjects_of
from tests.truth.corpus import read_corpus

VERDICTS = (RIGHT, WRONG, REFUSED, UNJUDGED)
DIED = "died"


@contextmanager
def ours(files: Path, place: Path) -> Iterator[str]:
    """The corpus converted and served by the two commands; the URL of DICOMweb."""
    archive = place / "archive"
    subprocess.run(["mkdicomweb", "create", files, "--dir", archive], check=True, capture_output=True)
    command = ["dicomwebserver", "--dir", str(archive), "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        found = re.search(r" at (http\S+)/", process.stdout.readline())
        assert found, "dicomwebserver did not say where it serves"
        try:
            yield f"{found[1]}/dicomweb"
        finally:
            process.terminate()


def all_calls(callers: dict[str, Caller], subjects: list[Subject]) -> Iterator[tuple[str, Outcome]]:
    """Every call, one server after the other: instances, then series, then studies."""
    groups: dict[tuple[str, ...], list[Subject]] = defaultdict(list)
    for subject in subjects:
        study, series, _ = subject.identity
        groups[study, series].append(subject)
        groups[study,].append(subject)
        for name, caller in callers.items():
            for outcome in chain(calls_of_instance(caller, subject), bulkdata_calls(caller, subject)):
                yield name, outcome
    for uids, held in sorted(groups.items(), key=lambda group: (-len(group[0]), group[0])):
        for name, caller in callers.items():
            for outcome in calls_of_group(caller, uids, held):
                yield name, outcome


def run(urls: dict[str, str], subjects: list[Subject], orthanc: Orthanc | None) -> dict[str, list[Outcome]]:
    """The outcomes of all calls at each server; an Orthanc that dies is started again."""
    callers = {}
    for name, url in urls.items():
        client = DICOMwebClient(url)
        client.set_http_retry_params(False)
        callers[name] = Caller(client, strict=False)
    found: dict[str, list[Outcome]] = {name: [] for name in urls}
    for name, outcome in all_calls(callers, subjects):
        died = (
            name == "Orthanc"
            and outcome.detail.startswith("ConnectionError")
            and orthanc
            and orthanc.revive()
        )
        found[name].append(replace(outcome, verdict=DIED) if died else outcome)
    return found


def table(results: dict[str, list[Outcome]]) -> Iterator[str]:
    """Lines of a Markdown table: a row for each call, counts and the median of ms for each server."""
    names = list(results)
    yield (
        "| call | "
        + " | ".join(f"{name}: " + " / ".join((*VERDICTS, DIED)) + " | ms" for name in names)
        + " |"
    )
    yield "| --- |" + " --- | ---: |" * len(names)
    calls = list(dict.fromkeys(outcome.call for found in results.values() for outcome in found))
    for call in [*calls, "all"]:
        cells = []
        for found in results.values():
            mine = [outcome for outcome in found if call in (outcome.call, "all")]
            counts = Counter(outcome.verdict for outcome in mine)
            right = [outcome.seconds for outcome in mine if outcome.verdict == RIGHT]
            cells.append(" / ".join(str(counts[verdict]) for verdict in (*VERDICTS, DIED)))
            cells.append(f"{median(right) * 1000:.1f}" if right else "")
        yield f"| {call} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--ours", action="store_true", help="without Orthanc")
    parser.add_argument("--faults", type=Path, help="where to write what was not right, a JSON line each")
    parser.add_argument("--every", type=int, default=1, help="only the studies of each n-th file")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    corpus = read_corpus(options.corpus)
    subjects = subjects_of(corpus)
    chosen = subjects[:: options.every]
    if options.every > 1:
        held = {subject.identity[0] for subject in chosen}
        chosen = [subject for subject in subjects if subject.identity[0] in held]
    with tempfile.TemporaryDirectory() as folder, ours(corpus.inputs, Path(folder)) as url:
        urls, orthanc = {"ours": url}, None
        found = None if options.ours else find_orthanc()
        if found is not None:
            orthanc = Orthanc(*found, Path(folder))
            orthanc.start()
            urls["Orthanc"] = orthanc.url
        try:
            if orthanc is not None:
                print(f"Orthanc took {orthanc.store(corpus.valid)} of {len(corpus.valid)} files", flush=True)
            results = run(urls, chosen, orthanc)
        finally:
            if orthanc is not None:
                orthanc.stop()
    print("\n".join(table(results)))
    if options.faults:
        with options.faults.open("w") as file:
            for server, outcomes in results.items():
                for one in outcomes:
                    if one.verdict != RIGHT:
                        row = [server, one.call, one.subject, one.verdict, one.detail]
                        file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
