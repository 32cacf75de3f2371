"""Which frames are transcoded, into what, and what the metadata say of them then (docs/operations.md,
"Transcoding").

One rule: only frames that the source holds natively are transcoded, and only if all frames of the instance
come back bit for bit and the instance becomes smaller; otherwise all of them stay, and the reason is said.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from staticwado.dicom import tags
from staticwado.dicom.encoders import CODECS, Codec, check_encodable, served_image
from staticwado.dicom.jsonmodel import EncodedDataset
from staticwado.dicom.pixels import ImagePixel, image_pixel
from staticwado.dicom.transfer_syntax import OCTET_STREAM
from staticwado.dicomweb.jsontext import parse_dataset
from staticwado.errors import Unsupported
from staticwado.ingest.convert import Converted
from staticwado.ingest.skeleton import Transcoded

Transcode = Literal["none", "htj2k", "jls", "auto"]
"""What `mkdicomweb create --transcode` can be told."""

SMALLEST_FRAME = 16 << 10
"""Bytes of a native frame below which `auto` leaves it: a request costs more than what is saved."""
LARGEST_FRAME = 64 << 20
"""Bytes of a native frame beyond which it stays: coding and decoding need several times as much memory."""

_MODALITY = 0x00080060
_PLANAR_CONFIGURATION = 0x00280006
_NO_PICTURES = frozenset({"SEG", "RTDOSE", "RTSTRUCT", "RTPLAN", "REG", "PR", "KO", "SR"})
"""Modalities whose pixels a viewer computes with rather than shows; it asks for them as they are."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is tried with the frames of one instance."""

    codec: Codec
    image: ImagePixel
    """The Image Pixel module of the source."""


def choose(converted: Converted, transcode: Transcode) -> Choice | None:
    """What to try with the frames of an instance; None where `transcode`, or the rule of `auto`, leaves them.

    Raises Unsupported where frames that were to be transcoded cannot be; its message is the reason.
    """
    if transcode == "none" or converted.frames is None:
        return None
    if converted.syntax.media_type != OCTET_STREAM:
        if transcode == "auto":
            return None
        raise Unsupported(
            f"they are {converted.syntax.name} already, and could not be given back as they are"
        )
    image = image_pixel(parse_dataset(converted.dataset.to_json()))
    if transcode == "auto":
        codec = automatic_codec(image, converted.dataset.text(_MODALITY) or "")
    else:
        codec = Codec(transcode)
    if codec is None:
        return None
    check_encodable(image)
    if image.frame_length > LARGEST_FRAME:
        raise Unsupported(f"a frame has {image.frame_length} bytes, more than {LARGEST_FRAME}")
    return Choice(codec, image)


def automatic_codec(image: ImagePixel, modality: str) -> Codec | None:
    """The rule of `auto`: HTJ2K for pictures, JPEG-LS for indices into a palette, None for the rest."""
    if modality in _NO_PICTURES or image.frame_length < SMALLEST_FRAME:
        return None
    try:
        check_encodable(image)
    except Unsupported:
        return None
    return Codec.JPEG_LS if image.photometric_interpretation == "PALETTE COLOR" else Codec.HTJ2K


def stays(reason: Unsupported | str) -> str:
    """The warning about an instance whose frames were to be transcoded and were not."""
    return f"frames were not transcoded: {reason}"


def describe(dataset: EncodedDataset, transcoded: Transcoded) -> None:
    """Make the metadata of an instance say what its transcoded frames are."""
    for tag, body in changed_members(transcoded):
        dataset.add(tag, body)


def changed_members(transcoded: Transcoded) -> Iterator[tuple[int, str]]:
    """Tag and DICOM JSON of each element that transcoding changes."""
    source, served = transcoded.image, served_image(transcoded.image, CODECS[transcoded.syntax])
    yield tags.AVAILABLE_TRANSFER_SYNTAX_UID, f'{{"vr":"UI","Value":["{transcoded.syntax}"]}}'
    if served.photometric_interpretation != source.photometric_interpretation:
        yield (
            tags.PHOTOMETRIC_INTERPRETATION,
            f'{{"vr":"CS","Value":["{served.photometric_interpretation}"]}}',
        )
    if served.planar_configuration != source.planar_configuration:
        yield _PLANAR_CONFIGURATION, f'{{"vr":"US","Value":[{served.planar_configuration}]}}'
