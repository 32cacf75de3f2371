"""The files that campaigns start from.

One rule: the list is the same on every machine that has the same files, so a case has a number.
"""

import io
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.factories import (
    BIG_ENDIAN,
    DEFLATED,
    DEFLATED_FRAMES,
    ENCAPSULATED_UNCOMPRESSED,
    EXPLICIT,
    HTJ2K,
    IMPLICIT,
    JPEG_2000,
    JPEG_BASELINE,
    JPEG_LOSSLESS,
    JPEG_LS,
    MPEG4,
    NATIVE,
    PIXEL_DATA,
    RLE,
    Element,
    codestream,
    element,
    encapsulate,
    instance,
    pixels,
    private,
    sequence,
)

LARGEST_SEED = 12_000
"""Bytes of a file that is taken as it is; larger ones get small pixels."""
NO_SEEDS = frozenset({".jsonl", ".md", ".py", ".json", ".pyc", ".txt"})
SYNTAXES = (
    IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN, ENCAPSULATED_UNCOMPRESSED, DEFLATED_FRAMES, RLE, JPEG_BASELINE,
    JPEG_LOSSLESS, JPEG_LS, JPEG_2000, HTJ2K, MPEG4, "1.2.840.10008.1.2.4.112", "1.2.840.10008.1.2.4.92",
)  # fmt: skip


def some_of_everything() -> list[Element]:
    """Elements of many VRs, sequences of both kinds, private ones, and an icon."""
    icon = Element(PIXEL_DATA, "OB", encapsulate([b"ab" * 9])[0])
    deep = sequence(
        "ContentSequence", [sequence("ContentSequence", [element("TextValue", "x")], undefined=True)]
    )
    return [
        element("SpecificCharacterSet", ["", "ISO 2022 IR 87"]),
        element("ContrastBolusAgent", ["a", "", "c"]),
        element("PatientWeight", ["70.50", "+1", "1e3"]),
        element("ImagePositionPatient", ["0", "-1.5", "1e-3"]),
        element("FrameIncrementPointer", [0x00181063, 0x00181065]),
        element("SmallestImagePixelValue", b"\1\0"),
        element("PatientName", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=x"),
        sequence(
            "ReferencedImageSequence", [element("ReferencedSOPInstanceUID", "1.2.3")], [], undefined=True
        ),
        sequence("IconImageSequence", [element("Rows", 2), icon], undefined=True, undefined_items=True),
        deep,
        *private(0x0009, 0x10, "STATICWADO TEST", (1, "UN", b"\1\2\3\4"), (2, "FD", [1.5]), (3, "SQ", b"")),
        element(0x00091104, b"\xfe\xff\0\xe0\0\0\0\0", vr="UN"),
        element("EncapsulatedDocument", b"%PDF-1.4 no more"),
        element("MIMETypeOfEncapsulatedDocument", "application/pdf"),
    ]


def made_seeds() -> Iterator[bytes]:
    """Small files in every syntax, whole."""
    for number, syntax in enumerate(SYNTAXES):
        extra = [one for one in some_of_everything() if syntax != IMPLICIT or one.tag != 0x00880200]
        yield instance(syntax=syntax, seed=number, extra=extra)
        for offsets, fragments in (("basic", 1), ("empty", 2), ("extended", 2), ("wrong", 3)):
            if syntax in NATIVE or syntax in (ENCAPSULATED_UNCOMPRESSED, DEFLATED_FRAMES):
                frames = pixels(4, 4, 3)
            else:
                frames = [codestream(40, syntax, frame) for frame in range(3)]
            yield instance(
                syntax=syntax,
                seed=number,
                frames=frames,
                offsets=offsets,
                fragments=fragments,
                rows=4,
                columns=4,
            )
            if syntax in NATIVE:
                break
    for bits, syntax in ((1, EXPLICIT), (1, BIG_ENDIAN), (12, EXPLICIT), (32, BIG_ENDIAN)):
        yield instance(syntax=syntax, frames=pixels(3, 3, 3, bits), rows=3, columns=3, bits=bits)
    yield instance(preamble=False, meta=False)
    yield instance(preamble=False, meta=False, syntax=IMPLICIT)
    yield instance(group_length=False, meta_syntax=None)
    yield instance(syntax=IMPLICIT, meta_syntax=EXPLICIT)
    yield instance(
        extra=[element("FloatPixelData", b"\0\0\x80\x3f" * 16), element("Rows", 4), element("Columns", 4)]
    )


@cache
def all_seeds(folder: Path | None) -> tuple[bytes, ...]:
    """The seeds: made ones, and with `folder` every file below it and of the pydicom wheel."""
    found = list(made_seeds())
    if folder is not None:
        import pydicom

        wheel = Path(pydicom.__file__).parent / "data" / "test_files"
        for path in (*sorted(folder.rglob("*")), *sorted(wheel.rglob("*"))):
            if path.is_file() and path.suffix not in NO_SEEDS:
                found += _small(path.read_bytes())
    return tuple(dict.fromkeys(found))


def _small(data: bytes) -> list[bytes]:
    """`data`, or where it is large the same file with small pixels; nothing if it cannot be made small."""
    if len(data) <= LARGEST_SEED:
        return [data] if data else []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            made = _with_small_pixels(data)
        except Exception:  # whatever pydicom makes of malformed files
            return []
    return [made] if len(made) <= 2 * LARGEST_SEED else []


def _with_small_pixels(data: bytes) -> bytes:
    import pydicom
    from pydicom.encaps import encapsulate as encapsulated
    from pydicom.encaps import generate_frames

    dataset = pydicom.dcmread(io.BytesIO(data), force=True)
    if "PixelData" in dataset:
        if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
            first = next(iter(generate_frames(dataset.PixelData, number_of_frames=1)))
            dataset.PixelData = encapsulated([first[:800], first[:300]])
            dataset.NumberOfFrames = 2
        else:
            size = max(dataset.BitsAllocated, 8) // 8 * dataset.get("SamplesPerPixel", 1) * 16
            dataset.Rows = dataset.Columns = 4
            dataset.NumberOfFrames = 2
            dataset.PixelData = dataset.PixelData[: 2 * size]
    for one in dataset:
        if isinstance(one.value, bytes) and len(one.value) > 2000 and one.tag != PIXEL_DATA:
            one.value = one.value[:2000]
    made = io.BytesIO()
    dataset.save_as(made, enforce_file_format=False)
    return made.getvalue()
