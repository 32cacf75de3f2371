"""A small archive as the converter makes it: one instance in each transfer syntax."""

from collections.abc import Sequence
from pathlib import Path

from staticwado.archive import Archive
from staticwado.ingest.pipeline import CreateOptions, create
from tests import factories
from tests.factories import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, JPEG_BASELINE, JPEG_LOSSLESS

NATIVE = (EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED)
SYNTAXES = (*NATIVE, JPEG_LOSSLESS, JPEG_BASELINE)


def convert(place: Path, syntaxes: Sequence[str] = SYNTAXES) -> Path:
    """Make the archive below `place`: one study, of series of two instances each.

    What is compressed holds no image, only what looks like a codestream from outside.
    """
    for number, syntax in enumerate(syntaxes):
        frames = factories.pixels(30, 20, 2) if syntax in NATIVE else [factories.codestream(901)]
        data = factories.instance(syntax=syntax, seed=number, series=number // 2, frames=frames)
        (place / f"{number}.dcm").write_bytes(data)
    archive = Archive(str(place / "archive"), create=True)
    report = create(archive, [str(place)], CreateOptions(jobs=1, thumbnails=False))
    assert [one.ok for one in report.outcomes] == [True] * len(syntaxes)
    return place / "archive"
