"""`mkdicomweb create --transcode` as its user meets it: options, report, memory."""

import json
from pathlib import Path
from typing import Any

import pytest

from staticwado.dicom.pixels import ImagePixel
from tests import factories
from tests.ingest.test_recompress import picture
from tests.truth.command import run

MEGABYTE = 1 << 20
LARGE = ImagePixel(256, 256, 1, "MONOCHROME2", 0, 16, 12, 11)


def write_frames(path: Path, count: int, **more: Any) -> Path:
    frames = [picture(LARGE, number) for number in range(4)] * (count // 4)
    data = factories.instance(
        seed=path, frames=frames, rows=256, columns=256, BitsStored=12, HighBit=11, **more
    )
    path.write_bytes(data)
    return path


def test_frames_are_transcoded_and_the_report_says_what_stayed(tmp_path: Path) -> None:
    place = tmp_path / "in"
    place.mkdir()
    write_frames(place / "a.dcm", 4)
    (place / "b.dcm").write_bytes(factories.instance(seed=1, syntax=factories.RLE, frames=[b"\0" * 70]))
    done = run(
        "create", place, "--dir", tmp_path / "out", "--transcode", "jls", "--report", tmp_path / "r.json"
    )
    assert (done.code, done.output) == (0, "2 in (2 new, 0 unchanged), 0 skipped, 0 failed\n")
    one, other = json.loads((tmp_path / "r.json").read_bytes())["inputs"]
    assert "warnings" not in one
    assert any("RLE Lossless already" in warning for warning in other["warnings"])
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.mht")) == [
        "1.jls.mht",
        "1.rle.mht",
        "2.jls.mht",
        "3.jls.mht",
        "4.jls.mht",
    ]


def test_the_configuration_may_ask_for_it(tmp_path: Path) -> None:
    path = write_frames(tmp_path / "a.dcm", 4)
    settings = tmp_path / "c.json5"
    settings.write_text("{mkdicomwebConfig: {transcode: 'auto'}}")
    assert run("create", path, "--dir", tmp_path / "out", "-c", settings).code == 0
    assert len(list((tmp_path / "out").rglob("*.jphc.mht"))) == 4


@pytest.mark.parametrize("transcode", ["htj2k", "jls"])
def test_memory_does_not_grow_with_the_number_of_frames(tmp_path: Path, transcode: str) -> None:
    peaks = []
    for count in (8, 400):
        path = write_frames(tmp_path / f"{count}.dcm", count)
        words: list[str | Path] = [
            "--dir",
            tmp_path / str(count),
            "--transcode",
            transcode,
            "--jobs",
            "1",
            "--no-thumbnails",
        ]
        done = run("create", path, *words)
        assert done.code == 0
        peaks.append(done.peak)
    # 49 MiB more of input
    assert peaks[1] < peaks[0] + 12 * MEGABYTE
