"""Storing data sets whose Pixel Data come as pictures (PS3.18 table 10.5.2-1)."""

from typing import Any

import numpy as np
import pytest
from pydicom.encaps import generate_frames

from tests import factories
from tests.web.conftest import Client
from tests.web.stowing import FAILED, bare, dataset, reasons, send, stored


def _picture(colour: bool) -> np.ndarray[Any, np.dtype[np.uint8]]:
    image = np.add.outer(np.arange(16), np.arange(24) * 3).astype(np.uint8)
    return np.stack([image, image[::-1], image * 2], axis=-1) if colour else image


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("kind", ["png", "gif"])
def test_png_and_gif_become_native_pixels(client: Client, kind: str, colour: bool) -> None:
    import imagecodecs

    image = _picture(colour and kind == "png")
    data = imagecodecs.png_encode(image) if kind == "png" else imagecodecs.gif_encode(image)
    made = bare(dataset((kind, colour)))
    reply = send(client, made, ("pixels", f"image/{kind}", data))
    assert reply.status == 200
    found = stored(client, made)
    assert found.file_meta.TransferSyntaxUID == factories.EXPLICIT
    assert (found.Rows, found.Columns) == (16, 24)
    shown = found.pixel_array
    expected = image if shown.ndim == image.ndim else np.stack([image] * 3, axis=-1)
    np.testing.assert_array_equal(shown, expected)


def test_a_png_of_sixteen_bits_keeps_them(client: Client) -> None:
    import imagecodecs

    image = np.arange(16 * 24, dtype=np.uint16).reshape(16, 24) * 150
    made = bare(dataset("deep"))
    assert send(client, made, ("pixels", "image/png", imagecodecs.png_encode(image))).status == 200
    found = stored(client, made)
    assert (found.BitsAllocated, found.BitsStored, found.HighBit) == (16, 16, 15)
    np.testing.assert_array_equal(found.pixel_array, image)


@pytest.mark.parametrize(
    "data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\xff" * 8 + b"\x08\0\0\0\0"]
)
def test_a_picture_that_is_none_fails(client: Client, data: bytes) -> None:
    reply = send(client, bare(dataset("none")), ("pixels", "image/png", data))
    assert (reply.status, len(reasons(reply, FAILED))) == (409, 1)


@pytest.mark.parametrize(
    ("media_type", "codec", "options", "syntax", "photometric"),
    [
        ("image/jpeg", "jpeg", {"colorspace": "RGB"}, "1.2.840.10008.1.2.4.50", "YBR_FULL_422"),
        ("image/jpeg", "ljpeg", {}, "1.2.840.10008.1.2.4.57", "MONOCHROME2"),
        ("image/jls", "jpegls", {}, "1.2.840.10008.1.2.4.80", "MONOCHROME2"),
        ("image/jls", "jpegls", {"level": 3}, "1.2.840.10008.1.2.4.81", "MONOCHROME2"),
        (
            "image/jp2",
            "jpeg2k",
            {"codecformat": "j2k", "reversible": True},
            "1.2.840.10008.1.2.4.90",
            "YBR_RCT",
        ),
        ("image/jp2", "jpeg2k", {"codecformat": "j2k", "level": 60}, "1.2.840.10008.1.2.4.91", "YBR_ICT"),
    ],
)
def test_compressed_pictures_are_kept_and_describe_themselves(
    client: Client, media_type: str, codec: str, options: dict[str, Any], syntax: str, photometric: str
) -> None:
    import imagecodecs

    image = _picture(photometric != "MONOCHROME2")
    data: bytes = getattr(imagecodecs, f"{codec}_encode")(image, **options)
    made = bare(dataset((codec, *options.items())))
    assert send(client, made, ("pixels", media_type, data)).status == 200
    found = stored(client, made)
    assert found.file_meta.TransferSyntaxUID == syntax
    assert (found.Rows, found.Columns, found.BitsStored) == (16, 24, 8)
    assert found.PhotometricInterpretation == photometric
    [frame] = generate_frames(found.PixelData, number_of_frames=1)
    assert frame[: len(data)] == data


def test_frames_may_come_as_parts_with_one_location(client: Client) -> None:
    import imagecodecs

    frames = [imagecodecs.jpegls_encode(_picture(colour=False) + shift) for shift in (0, 1)]
    made = bare(dataset("frames"))
    assert send(client, made, *[("pixels", "image/jls", frame) for frame in frames]).status == 200
    found = stored(client, made)
    assert int(found.NumberOfFrames) == 2
    kept = [
        frame[: len(data)]
        for frame, data in zip(generate_frames(found.PixelData, number_of_frames=2), frames, strict=True)
    ]
    assert kept == frames


@pytest.mark.parametrize("where", ["part", "data set"])
def test_a_transfer_syntax_that_is_named_is_believed(client: Client, where: str) -> None:
    import imagecodecs

    data = imagecodecs.jpeg2k_encode(_picture(colour=False), codecformat="j2k", reversible=True)
    syntax = "1.2.840.10008.1.2.4.91"
    made = bare(dataset(where))
    media_type = "image/jp2"
    if where == "part":
        media_type += f"; transfer-syntax={syntax}"
    else:
        made["00083002"] = {"vr": "UI", "Value": [syntax]}
    assert send(client, made, ("pixels", media_type, data)).status == 200
    found = stored(client, made)
    assert found.file_meta.TransferSyntaxUID == syntax
    assert "AvailableTransferSyntaxUID" not in found


def test_documents_and_videos_are_kept_as_they_are(client: Client) -> None:
    pdf = b"%PDF-1.4 of an odd length"
    made = bare(
        dataset(
            "pdf",
            **{
                "00420011": {"vr": "OB", "BulkDataURI": "pdf"},
                "00420012": {"vr": "LO", "Value": ["application/pdf"]},
            },
        )
    )
    del made["7FE00010"]
    made["00080016"]["Value"] = ["1.2.840.10008.5.1.4.1.1.104.1"]
    assert send(client, made, ("pdf", "application/pdf", pdf)).status == 200
    assert stored(client, made).EncapsulatedDocument == pdf + b"\0"
    movie = dataset("mp4", **{"00280008": {"vr": "IS", "Value": [2]}})
    assert send(client, movie, ("pixels", "video/mp4", b"\0\0\0\x18ftypmp42" + bytes(40))).status == 200
    assert stored(client, movie).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.102"
