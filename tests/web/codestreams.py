"""An archive of real codestreams, made from the same native frames."""

from pathlib import Path
from typing import Any

from staticwado.archive import Archive
from staticwado.dicom.pixels import ImagePixel
from staticwado.dicom.transcoding import JPEG_BASELINE, transcode
from staticwado.ingest.pipeline import CreateOptions, create
from tests import factories
from tests.factories import EXPLICIT, HTJ2K, JPEG_2000, JPEG_LOSSLESS, JPEG_LS, RLE

ROWS, COLUMNS, COUNT = 12, 10, 3
GREY = ImagePixel(ROWS, COLUMNS)
COLOUR = ImagePixel(ROWS, COLUMNS, 3, "RGB", 0, 8, 8, 7)
LOSSLESS = (JPEG_LS, JPEG_2000, HTJ2K, JPEG_LOSSLESS, RLE)
SMOOTH, COLOURED, LOSSY, BROKEN, HALF_BROKEN = "smooth", "coloured", "lossy", "broken", "half broken"
STUDY = factories.uid("study", 0)
FRAMES = factories.pixels(ROWS, COLUMNS, COUNT)
SMOOTH_FRAMES = [bytes([number, 20, 30]) * (ROWS * COLUMNS) for number in range(COUNT)]
"""Which become shorter in any codec, so that ingest transcodes them if told to."""
COLOUR_FRAMES = factories.pixels(ROWS, COLUMNS, COUNT, bits=8, samples=3)


def coded(syntax: str, frames: list[bytes], image: ImagePixel) -> list[bytes]:
    return [transcode(frame, EXPLICIT, image, syntax).data for frame in frames]


def path(series: str) -> str:
    """The instance of a series, which is named after what is in it."""
    uid = factories.uid("series", 0, series)
    return f"studies/{STUDY}/series/{uid}/instances/{factories.uid('instance', 0, series, 0)}"


def _file(series: str, syntax: str, frames: list[bytes], image: ImagePixel, photometric: str) -> bytes:
    shape: dict[str, Any] = {"rows": ROWS, "columns": COLUMNS, "bits": image.bits_allocated}
    return factories.instance(
        syntax=syntax,
        series=series,
        frames=frames,
        samples=image.samples_per_pixel,
        photometric=photometric,
        **shape,
    )


def files() -> dict[str, bytes]:
    """Files by the name of their series: native, in each codec, in colour, lossy, and with damaged frames."""
    grey = "MONOCHROME2"
    made = {EXPLICIT: _file(EXPLICIT, EXPLICIT, FRAMES, GREY, grey)}
    made[SMOOTH] = _file(SMOOTH, EXPLICIT, SMOOTH_FRAMES, COLOUR, "RGB")
    for syntax in LOSSLESS:
        made[syntax] = _file(syntax, syntax, coded(syntax, FRAMES, GREY), GREY, grey)
    colours = coded(JPEG_2000, COLOUR_FRAMES, COLOUR)
    made[COLOURED] = _file(COLOURED, JPEG_2000, colours, COLOUR, "YBR_RCT")
    lossy = coded(JPEG_BASELINE, COLOUR_FRAMES, COLOUR)
    made[LOSSY] = _file(LOSSY, JPEG_BASELINE, lossy, COLOUR, "YBR_FULL_422")
    broken = [factories.codestream(300, number) for number in range(COUNT)]
    made[BROKEN] = _file(BROKEN, JPEG_LOSSLESS, broken, GREY, grey)
    half = [coded(JPEG_LS, FRAMES, GREY)[0], *broken[1:]]
    made[HALF_BROKEN] = _file(HALF_BROKEN, JPEG_LS, half, GREY, grey)
    return made


FILES = files()


def make_archive(place: Path, options: CreateOptions | None = None) -> Path:
    """An archive of `FILES` below `place`."""
    for number, data in enumerate(FILES.values()):
        (place / f"{number}.dcm").write_bytes(data)
    options = options or CreateOptions(jobs=1, thumbnails=False)
    report = create(Archive(str(place / "archive"), create=True), [str(place)], options)
    assert all(one.ok for one in report.outcomes), report.outcomes
    return place / "archive"
