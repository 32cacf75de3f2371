"""What campaigns run: reading alone, the whole way into an archive and back, and files cut short.

One rule: a target takes bytes and says what became of them; what must not happen is raised.
"""

import gc
import json
import os
import re
import shutil
import tempfile
import zlib
from bisect import bisect_right
from functools import cache
from itertools import accumulate
from pathlib import Path
from random import Random

from staticwado.archive import Archive
from staticwado.dicom.frames import stream_frame
from staticwado.dicom.inflate import inflate_stream
from staticwado.dicom.sources import ByteSource, MemorySource
from staticwado.dicomweb.jsontext import parse_dataset
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import StaticWadoError
from staticwado.ingest.batch import Batch, convert_batch
from staticwado.ingest.convert import Converted, Converter
from staticwado.ingest.outcome import Outcome, Status
from staticwado.ingest.rebuild import read_part10
from staticwado.ingest.settle import settle
from staticwado.ingest.source import FileSource
from staticwado.ingest.write import BatchWriter, Staged
from tests.fuzzing.bombs import bomb
from tests.fuzzing.campaign import BLOCK, Broken, Limits
from tests.fuzzing.mutations import find_spots, mutate
from tests.fuzzing.scratch import scratch_folder
from tests.fuzzing.seeds import all_seeds

BOMBS = 0.03
"""Share of the cases that are bombs, with or without faults."""
LONGEST_MESSAGE = 600
"""Characters; what a file holds must not fill a report."""
UNEXPECTED = ("unexpected ", "MemoryError", "RecursionError")

_spots = cache(find_spots)


class Mutations:
    """The mutated files of a block: one seed file, and faults of its own for each case."""

    def __init__(self, folder: Path | None, largest: int | None) -> None:
        self.seeds = tuple(one for one in all_seeds(folder) if largest is None or len(one) <= largest)
        self.base = self.seeds[0]

    def begin(self, seed: int, block: int) -> None:
        self.base = Random(f"{seed}/{block}").choice(self.seeds)

    def case(self, seed: int, number: int) -> bytes:
        random = Random(f"{seed}/case/{number}")
        other = self.seeds[random.randrange(len(self.seeds))]
        if random.random() >= BOMBS:
            return mutate(random, self.base, _spots(self.base), other)
        made = bomb(random)
        return mutate(random, made, find_spots(made[:8192]), other) if random.random() < 0.5 else made


def word_of(error: StaticWadoError) -> str:
    """The type of a refusal and its message without numbers, as outcomes are counted."""
    text = str(error)
    if len(text) > LONGEST_MESSAGE:
        raise Broken(f"a message of {len(text)} characters: {text[:80]}")
    if text.startswith(UNEXPECTED) or " MemoryError" in text:
        raise Broken(f"an error in disguise: {text}")
    text = re.sub(r"'[^']*'|\"[^\"]*\"", "''", text)
    text = re.sub(r"\([0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\)", "(T)", text)
    return f"{type(error).__name__}: {re.sub('[0-9]+', 'N', text)[:80]}"


class Reading:
    """Converting and staging without writing: headers, JSON, character sets, frames, hashes."""

    name = "reading"
    limits = Limits()

    def __init__(self, folder: Path | None = None, largest: int | None = None) -> None:
        self._cases = Mutations(folder, largest)
        self._root = tempfile.mkdtemp(prefix="staticwado-fuzz-")
        shutil.rmtree(self._root)

    def begin(self, seed: int, block: int) -> None:
        self._cases.begin(seed, block)
        self.open(self._cases.base)

    def open(self, base: bytes) -> None:
        """A writer that has seen the file from which the cases are made."""
        self._writer = BatchWriter(Archive(self._root, create=True), thumbnails=False, dry_run=True)
        try:
            self._stage(base)
        except StaticWadoError:
            return

    def end(self) -> None:
        self._writer.close()
        del self._writer
        gc.collect()  # a writer and its converter know each other, and its buffer is large
        if os.path.exists(self._root):
            raise Broken("a dry run wrote something")

    def case(self, seed: int, number: int) -> bytes:
        return self._cases.case(seed, number)

    def run(self, data: bytes) -> str:
        kept: str | StaticWadoError
        try:
            kept = self._stage(data)
        except StaticWadoError as error:
            kept = error
        if zlib.crc32(data) % 6 == 0:  # a sixth, by chance: it takes longer than the rest
            _compare_with_fresh(data, self._writer.converter)
        return kept if isinstance(kept, str) else word_of(kept)

    def _stage(self, data: bytes) -> str:
        staged = self._writer.stage(MemorySource(data))
        if isinstance(staged, Staged):
            self._writer.forget(staged)
        return "taken in"


def _compare_with_fresh(data: bytes, used: Converter) -> None:
    """A converter that has seen other headers must make the same of `data` as one that has seen none."""
    fresh = Converter(lambda source, bulk: "0" * 64, _inflate)
    _check(found := _converted(used, data), data)
    wanted = _converted(fresh, data)
    if _summary(found) != _summary(wanted):
        raise Broken(f"the template changed the result: {_summary(found)[:80]} / {_summary(wanted)[:80]}")


def _inflate(source: ByteSource, offset: int) -> ByteSource:
    return MemorySource(b"".join(inflate_stream(source, offset)))


def _converted(converter: Converter, data: bytes) -> Converted | StaticWadoError:
    try:
        return converter.convert(MemorySource(data))
    except StaticWadoError as error:
        return error


def _summary(found: Converted | StaticWadoError) -> str:
    if isinstance(found, StaticWadoError):
        return f"{type(found).__name__}: {found}"
    text = re.sub(r"[0-9a-f]{2}/[0-9a-f]{62}", "", found.dataset.to_json().decode())
    frames = found.frames
    spans = [] if frames is None else [frames.spans(n) for n in range(min(len(frames), 50))]
    return f"{sorted(found.notes)} {spans} {text}"


def _check(found: Converted | StaticWadoError, data: bytes) -> None:
    """What was taken in is valid JSON, and its frames can be read."""
    if isinstance(found, StaticWadoError):
        return
    check_metadata(found.dataset.to_json())
    frames = found.frames
    for number in range(min(len(frames), 20) if frames is not None else 0):
        assert frames is not None
        length = sum(len(part) for part in stream_frame(found.part10.source, frames, number))
        if length != frames.length(number):
            raise Broken(f"frame {number + 1} has {length} bytes, not {frames.length(number)}")


def check_metadata(data: bytes) -> int:
    """Whether metadata are well-formed DICOM JSON; returns the number of attributes."""
    found = parse_dataset(data)
    if data.count(b"[") < 300:
        json.loads(data.decode("utf-8"), parse_constant=_refuse)
    if list(found) != sorted(found):
        raise Broken("attributes are out of order")
    for tag, attribute in found.items():
        if not isinstance(attribute, dict):
            continue  # nested too deep for the library: kept as text
        if (
            not re.fullmatch("[0-9A-F]{8}", tag)
            or tag.startswith("0002")
            or tag.endswith("0000")
            or set(attribute)
            - {
                "vr",
                "Value",
                "InlineBinary",
                "BulkDataURI",
            }
        ):
            raise Broken(f"{tag} is {str(attribute)[:80]}")
    return len(found)


def _refuse(constant: str) -> None:
    raise Broken(f"{constant} is not JSON")


class Storing:
    """The whole way: into a new archive and back, or out again without a trace."""

    name = "storing"
    limits = Limits(seconds=10.0, memory=1 << 30)

    def __init__(self, folder: Path | None = None, largest: int | None = None) -> None:
        self._cases = Mutations(folder, largest)
        self._scratch = Path()

    def begin(self, seed: int, block: int) -> None:
        self._cases.begin(seed, block)
        if not self._scratch.name:
            self._scratch = scratch_folder()

    def end(self) -> None:
        shutil.rmtree(self._scratch)
        self._scratch = Path()

    def case(self, seed: int, number: int) -> bytes:
        return self._cases.case(seed, number)

    def run(self, data: bytes) -> str:
        file, root = self._scratch / "input", self._scratch / "archive"
        file.write_bytes(data)
        found = file.stat()
        source = FileSource(
            str(file), found.st_size, (found.st_size, found.st_mtime_ns, found.st_ino), named=True
        )
        try:
            batch = Batch(str(root), (source,), thumbnails=len(data) % 4 == 0, strict=False, dry_run=False)
            (outcome,) = convert_batch(batch)
            return self._judge(outcome, root, data)
        finally:
            shutil.rmtree(root, ignore_errors=True)

    def _judge(self, outcome: Outcome, root: Path, data: bytes) -> str:
        left = [path for path in (root / ".staticwado" / "staging").glob("*") if path.exists()]
        if left:
            raise Broken(f"staging holds {left[0].name}")
        if outcome.status is Status.NEW:
            return self._give_back(outcome, root, data)
        word = word_of(StaticWadoError(f"{outcome.reason.name}: {outcome.detail}"))
        for path in root.rglob("*"):
            if path.is_file() and ".staticwado" not in path.relative_to(root).parts:
                raise Broken(f"refused ({outcome.detail}), but {path.relative_to(root)} is there")
        return f"refused {word}"

    @staticmethod
    def _give_back(outcome: Outcome, root: Path, data: bytes) -> str:
        study, series, instance = outcome.study or "", outcome.series or "", outcome.instance or ""
        archive = Archive(str(root), create=True)
        if b"".join(read_part10(archive, study, series, instance)) != data:
            raise Broken("the file that is given back is another")
        resource = Resource(View.METADATA, study, series, instance)
        check_metadata(archive.read(resource)[1:-1])
        for warning in outcome.warnings:
            if len(warning) > LONGEST_MESSAGE or "MemoryError" in warning or "RecursionError" in warning:
                raise Broken(f"a warning of {len(warning)} characters: {warning[:120]}")
        if zlib.crc32(data) % 8 == 0:  # an eighth, by chance
            settle(archive)
            if study not in [
                one["0020000D"]["Value"][0] for one in archive.read_json(Resource(View.STUDIES))
            ]:
                raise Broken("the study is in no index")
        frames = len(list(root.glob("studies/*/series/*/instances/*/frames/*")))
        return f"taken in, {'with' if frames else 'without'} frames"


class Truncations(Reading):
    """Every file of at most `largest` bytes, cut short at every length."""

    name = "truncations"

    def __init__(self, folder: Path | None = None, largest: int | None = None) -> None:
        super().__init__(folder, largest or 6_000)
        self._files = self._cases.seeds
        self._starts = [0, *accumulate(-(-len(data) // BLOCK) * BLOCK for data in self._files)]

    def __len__(self) -> int:
        return self._starts[-1]

    def begin(self, seed: int, block: int) -> None:
        self.open(self._file(block * BLOCK)[0])

    def _file(self, number: int) -> tuple[bytes, int]:
        index = min(bisect_right(self._starts, number), len(self._files)) - 1
        return self._files[index], number - self._starts[index]

    def case(self, seed: int, number: int) -> bytes:
        data, length = self._file(number)
        return data[:length]
