"""A few thousand cases of each fuzzing campaign (docs/fuzzing.md): the same ones in every run."""

import os
import signal
import time
from pathlib import Path
from random import Random

import pytest

from staticwado.dicom.codecs import decode_frame
from staticwado.dicom.pixels import ImagePixel
from staticwado.errors import StaticWadoError
from tests.factories import noise
from tests.fuzzing.bombs import bomb
from tests.fuzzing.campaign import BLOCK, Limits, Totals, run_campaign
from tests.fuzzing.codecs import Decoding
from tests.fuzzing.mutations import find_spots, mutate
from tests.fuzzing.packed import Listing
from tests.fuzzing.seeds import made_seeds
from tests.fuzzing.targets import Reading, Storing, Truncations


def told(totals: Totals) -> list[str]:
    return [f"--seed {one.seed} --case {one.case}: {one.group}" for one in totals.findings]


def test_files_with_faults_are_read_or_refused_and_say_why() -> None:
    totals = run_campaign(Reading(), 1, range(3_000))
    assert told(totals) == []
    assert totals.cases == 3_000
    assert 300 < totals.outcomes["taken in"] < 2_700


def test_files_with_faults_come_back_whole_or_leave_nothing() -> None:
    totals = run_campaign(Storing(), 2, range(10 * BLOCK))
    assert told(totals) == []
    assert totals.outcomes["taken in, with frames"] > 20
    assert totals.outcomes["taken in, without frames"] > 20


def test_files_cut_short_at_any_length_are_read_or_refused() -> None:
    target = Truncations()
    first = Random(3).randrange(len(target) // BLOCK - 20) * BLOCK
    totals = run_campaign(target, 3, range(first, first + 20 * BLOCK))
    assert told(totals) == []


def test_damaged_codestreams_are_decoded_or_refused() -> None:
    totals = run_campaign(Decoding(), 4, range(4_000))
    assert told(totals) == []
    assert sum(count for word, count in totals.outcomes.items() if word.endswith("decoded")) > 200


def test_damaged_packages_are_listed_and_read_or_refused() -> None:
    totals = run_campaign(Listing(), 5, range(12 * BLOCK))
    assert told(totals) == []


def test_a_damaged_near_lossless_codestream_ends() -> None:
    assert told(run_campaign(_NearLossless(), 1, range(1))) == []


# -- the campaign itself -------------------------------------------------------------------------------------


class _NearLossless:
    """A JPEG-LS codestream with NEAR 1 whose lines are said to be longer than they are."""

    name = "near lossless"
    limits = Limits(seconds=0.5)

    def begin(self, seed: int, block: int) -> None:
        import imagecodecs
        import numpy as np

        grain = np.frombuffer(noise(32 * 32 * 4, 0), np.uint8).reshape(4, 32, 32).astype(int)
        self.data = bytearray(imagecodecs.jpegls_encode((grain.sum(0) // 4).astype(np.uint8), level=1))

    def end(self) -> None:
        pass

    def case(self, seed: int, number: int) -> bytes:
        frame = self.data.index(b"\xff\xf7")
        self.data[frame + 7 : frame + 9] = (500).to_bytes(2)
        return bytes(self.data)

    def run(self, data: bytes) -> str:
        image = ImagePixel(32, 500, bits_allocated=8, bits_stored=8, high_bit=7)
        try:
            decode_frame(data, "1.2.840.10008.1.2.4.81", image)
        except StaticWadoError as error:
            return str(error)
        return "decoded"


class Faulty:
    """Does to each case what its number says."""

    name = "faulty"
    limits = Limits(seconds=0.3, memory=64 << 20)

    def begin(self, seed: int, block: int) -> None:
        self.number = -1

    def end(self) -> None:
        pass

    def case(self, seed: int, number: int) -> bytes:
        self.number = number
        return bytes([number])

    def run(self, data: bytes) -> str:
        match self.number:
            case 1:
                raise ValueError("no error of ours")
            case 3:
                os.kill(os.getpid(), signal.SIGSEGV)
            case 5:
                while True:
                    time.process_time()
            case 7:
                bytearray(1 << 30)
        return "done"


def test_a_campaign_finds_errors_crashes_hangs_and_hunger_and_goes_on(tmp_path: Path) -> None:
    totals = run_campaign(Faulty(), 1, range(10), keep=tmp_path)
    found = sorted((one.case, one.kind) for one in totals.findings)
    assert found == [(1, "ValueError"), (3, "crash"), (5, "hang"), (7, "memory")]
    assert totals.cases == 10
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"faulty-1-{n}" for n in (1, 3, 5, 7)]


def test_a_case_is_the_same_bytes_whenever_it_is_made() -> None:
    one, other = Reading(), Reading()
    for block in (7, 3, 7):
        one.begin(1, block)
        other.begin(1, block)
        for number in range(block * BLOCK, block * BLOCK + 20):
            assert one.case(1, number) == other.case(1, number)


@pytest.mark.parametrize("seed", range(3))
def test_faults_change_files_and_bombs_stay_small(seed: int) -> None:
    random = Random(seed)
    seeds = list(made_seeds())
    changed = 0
    for _ in range(300):
        data = random.choice(seeds)
        changed += mutate(random, data, find_spots(data), random.choice(seeds)) != data
    assert changed > 250
    assert all(len(bomb(random)) < 2 << 20 for _ in range(60))
