"""One picture of all images of an archive: for a person to look at, not a measurement.

    python benchmarks/contact_sheet.py ARCHIVE OUT.png [--rendered]

Each instance with frames has a square, ordered by path; a cross stands for what cannot be shown, and why is
printed. Of series of more than three instances the first, the middle and the last are shown.
"""

import argparse
import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from staticwado.dicom.geometry import Viewport
from staticwado.dicom.rendering import RenderOptions, render_frame
from staticwado.errors import StaticWadoError

Array = NDArray[Any]
SIDE, GAP, ACROSS = 128, 2, 16


def instances(archive: Path) -> Iterator[Path]:
    """The folders of the instances that have frames."""
    for series in sorted(archive.glob("studies/*/series/*")):
        found = sorted(path.parent for path in series.glob("instances/*/frames"))
        yield from found if len(found) <= 3 else (found[0], found[len(found) // 2], found[-1])


def thumbnail(folder: Path) -> Array:
    """The one in the archive."""
    shown: Array = imagecodecs.jpeg8_decode((folder / "thumbnail.jpg").read_bytes())
    step = -(-max(shown.shape[:2]) // SIDE)
    return shown[::step, ::step]


def rendered(folder: Path) -> Array:
    """The middle frame as a rendered resource."""
    (dataset,) = json.loads(gzip.decompress((folder / "metadata.gz").read_bytes()))
    files = sorted((folder / "frames").iterdir(), key=lambda path: int(path.name.split(".")[0]))
    data = files[(len(files) - 1) // 2].read_bytes()
    head, _, rest = data.partition(b"\r\n\r\n")
    syntax = head.partition(b"transfer-syntax=")[2].split(b"\r\n")[0].decode()
    boundary = data[2 : data.index(b"\r\n")]
    frame = rest[: rest.rindex(b"\r\n--" + boundary)]
    number = int(files[(len(files) - 1) // 2].name.split(".")[0])

    def bulkdata(uri: str) -> bytes:
        place = (folder / uri).resolve()
        return place.read_bytes() if place.is_file() else gzip.decompress(Path(f"{place}.gz").read_bytes())

    options = RenderOptions(viewport=Viewport(SIDE, SIDE))
    return render_frame(dataset, frame, syntax, number, bulkdata, options)


def main() -> int:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("archive", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--rendered", action="store_true", help="render instead of showing thumbnails")
    wanted = parser.parse_args()
    folders = list(instances(wanted.archive))
    rows = -(-len(folders) // ACROSS) or 1
    sheet = np.full((rows * (SIDE + GAP), ACROSS * (SIDE + GAP), 3), 60, np.uint8)
    missing = 0
    for index, folder in enumerate(folders):
        top, left = index // ACROSS * (SIDE + GAP), index % ACROSS * (SIDE + GAP)
        try:
            shown = (rendered if wanted.rendered else thumbnail)(folder)[:SIDE, :SIDE]
        except (OSError, StaticWadoError) as error:
            missing += 1
            print(f"{folder.relative_to(wanted.archive)}: {error}", file=sys.stderr)
            places = np.arange(SIDE)
            sheet[top + places, left + places] = sheet[top + places, left + SIDE - 1 - places] = (255, 0, 0)
            continue
        picture = shown if shown.ndim == 3 else np.repeat(shown[..., None], 3, axis=2)
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    wanted.picture.write_bytes(imagecodecs.png_encode(sheet, level=6))
    print(f"{len(folders)} images in {wanted.picture}, {missing} of them cannot be shown")
    return 0


if __name__ == "__main__":
    sys.exit(main())
