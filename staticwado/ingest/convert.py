"""One source becomes what the archive keeps of it: UIDs, metadata, bulkdata, frames.

One rule: reading here, writing elsewhere. Nothing of the archive is touched before the whole header was read
and every UID was found to be one.
"""

from collections.abc import Callable
from dataclasses import dataclass

from staticwado import layout
from staticwado.dicom import tags
from staticwado.dicom.elements import Window
from staticwado.dicom.frames import (
    FrameTable,
    encapsulated_frames,
    frame_bits,
    native_frames,
    word_size,
)
from staticwado.dicom.jsonmodel import Bulk, EncodedDataset, Encoder, PixelValue
from staticwado.dicom.part10 import MEDIA_STORAGE_DIRECTORY, Inflate, Part10, parse
from staticwado.dicom.sources import ByteSource, MemorySource
from staticwado.dicom.tags import format_tag
from staticwado.dicom.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES, TransferSyntax
from staticwado.dicom.uid import check_uid
from staticwado.errors import BrokenDicom, InvalidUid, NotDicom

FIRST_WINDOW = 8192
LARGEST_WINDOW = 1 << 20

KeepValue = Callable[[ByteSource, Bulk], str]
"""Keeps a value of a source and returns its SHA-256 in hex."""


@dataclass(frozen=True, slots=True)
class KeptValue:
    """A value that was kept as bulkdata."""

    bulk: Bulk
    sha256: str
    suffix: str

    @property
    def address(self) -> str:
        return layout.bulkdata_id(self.sha256, self.suffix)


@dataclass(frozen=True, slots=True)
class Converted:
    """What the archive keeps of one instance."""

    part10: Part10
    study: str
    series: str
    instance: str
    dataset: EncodedDataset
    syntax: TransferSyntax
    """The transfer syntax of the frames as they are kept."""
    frames: FrameTable | None
    frame_length: int | None
    """Bytes of an uncompressed frame, where the source may hold padding behind it."""
    bulkdata: tuple[KeptValue, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        frames = () if self.frames is None else self.frames.notes
        return (*self.part10.notes, *self.dataset.notes, *frames)


class Converter:
    """Converts sources one after the other; what repeats from one header to the next is done once."""

    def __init__(self, keep_value: KeepValue, inflate: Inflate) -> None:
        self._keep_value = keep_value
        self._inflate = inflate
        self._encoder = Encoder(self._keep)
        self._window = FIRST_WINDOW
        self._source: ByteSource = MemorySource(b"")
        self._kept: list[KeptValue] = []
        self.seen: tuple[str, str, str] | None = None
        """Study, series and instance of the last source, as soon as they were read."""
        self.sop_class: str | None = None
        """Its SOP Class UID."""

    def forget(self) -> None:
        """Forget what was seen of the last source."""
        self.seen = self.sop_class = None

    def convert(self, file: ByteSource) -> Converted:
        """Read one Part 10 file.

        Raises NotDicom, BrokenDicom, Unsupported or InvalidUid.
        """
        self.forget()
        part10 = parse(file, self._inflate, self._window)
        if part10.sop_class == MEDIA_STORAGE_DIRECTORY:
            raise NotDicom("a DICOMDIR lists instances and is none; its files are taken in by themselves")
        self._source = part10.source
        self._kept = []
        dataset = self._encoder.encode(part10.window, part10.start, part10.source.size, part10.syntax)
        study, series, instance = self.seen = _uids(dataset)
        self.sop_class = dataset.text(tags.SOP_CLASS_UID) or part10.sop_class or None
        frames, syntax, length = self._frames(part10, dataset)
        self._name_document(dataset)
        self._window = min(LARGEST_WINDOW, max(FIRST_WINDOW, -(-dataset.header_end // 4096) * 4096))
        dataset.add(tags.AVAILABLE_TRANSFER_SYNTAX_UID, f'{{"vr":"UI","Value":["{syntax.served_uid}"]}}')
        return Converted(
            part10, study, series, instance, dataset, syntax, frames, length, self._used(dataset)
        )

    def _keep(self, bulk: Bulk) -> str:
        kept = KeptValue(bulk, self._keep_value(self._source, bulk), "bin")
        self._kept.append(kept)
        return layout.bulkdata_uri(kept.address)

    def _used(self, dataset: EncodedDataset) -> tuple[KeptValue, ...]:
        """The values kept for this data set, each once; a reading that was begun again kept some twice."""
        return tuple({(kept.bulk.spans, kept.bulk.tag): kept for kept in self._kept}.values())

    def _name_document(self, dataset: EncodedDataset) -> None:
        """Give an Encapsulated Document the suffix of its media type (PS3.18 8.7.3.3, B-05)."""
        suffix = layout.bulkdata_suffix(dataset.text(tags.MIME_TYPE))
        member = dataset.members.get(tags.ENCAPSULATED_DOCUMENT)
        if suffix == "bin" or not member:
            return
        for index, kept in enumerate(self._kept):
            if kept.bulk.tag == tags.ENCAPSULATED_DOCUMENT and kept.address in member:
                named = KeptValue(kept.bulk, kept.sha256, suffix)
                self._kept[index] = named
                member = member.replace(kept.address, named.address)
        dataset.members[tags.ENCAPSULATED_DOCUMENT] = member

    # -- pixel data ------------------------------------------------------------------------------------------

    def _frames(
        self, part10: Part10, dataset: EncodedDataset
    ) -> tuple[FrameTable | None, TransferSyntax, int | None]:
        syntax = part10.syntax
        pixels = dataset.pixels
        if pixels is None:
            return None, syntax, None
        if pixels.encapsulated:
            frames, length = self._encapsulated(part10, dataset, pixels)
            self._encoder.resume(
                dataset, Window(part10.source, frames.end), frames.end, part10.source.size, syntax
            )
        elif not pixels.span.length:
            dataset.add(pixels.tag, f'{{"vr":"{pixels.vr}"}}')
            return None, syntax, None
        else:
            native, length = self._native(part10, dataset, pixels)
            if native is None:
                return None, syntax, None
            frames = native
            syntax = TRANSFER_SYNTAXES[EXPLICIT_VR_LITTLE_ENDIAN] if syntax.encapsulated else syntax
        dataset.add(pixels.tag, f'{{"vr":"{pixels.vr}","BulkDataURI":"{layout.PIXELDATA_URI}"}}')
        return frames, syntax, length

    def _encapsulated(
        self, part10: Part10, dataset: EncodedDataset, pixels: PixelValue
    ) -> tuple[FrameTable, int | None]:
        syntax, source = part10.syntax, part10.source
        if not syntax.encapsulated:
            raise BrokenDicom(
                f"{format_tag(pixels.tag)} is encapsulated, but the transfer syntax is {syntax.name}"
            )
        length = None
        if syntax.media_type == TRANSFER_SYNTAXES[EXPLICIT_VR_LITTLE_ENDIAN].media_type:
            bits = _bits(dataset, None)
            length = (bits + 7) // 8 if bits else None
        extended = None
        if tags.EXTENDED_OFFSET_TABLE in dataset.raw and tags.EXTENDED_OFFSET_TABLE_LENGTHS in dataset.raw:
            offsets = dataset.raw[tags.EXTENDED_OFFSET_TABLE]
            lengths = dataset.raw[tags.EXTENDED_OFFSET_TABLE_LENGTHS]
            extended = (
                source.read(offsets.offset, offsets.length),
                source.read(lengths.offset, lengths.length),
            )
        count = _number_of_frames(dataset)
        return encapsulated_frames(source, pixels.span.offset, count, syntax, extended, length), length

    def _native(
        self, part10: Part10, dataset: EncodedDataset, pixels: PixelValue
    ) -> tuple[FrameTable | None, int | None]:
        """The frames of a native value; none, and the value is bulkdata, where nothing says its shape."""
        bits = _bits(dataset, pixels.span.length)
        if not bits:
            dataset.notes.append(
                f"{format_tag(pixels.tag)} has no rows, columns or bits and was kept as bulkdata"
            )
            size = 1 if part10.syntax.little_endian else word_size(pixels.vr, 16)
            uri = self._keep(Bulk(pixels.tag, pixels.vr, (pixels.span,), size))
            dataset.add(pixels.tag, f'{{"vr":"{pixels.vr}","BulkDataURI":"{uri}"}}')
            return None, None
        swapped = 1
        if not part10.syntax.little_endian:
            swapped = word_size(pixels.vr, _count(dataset, tags.BITS_ALLOCATED))
        return native_frames(pixels.span, _number_of_frames(dataset), bits, swapped), None


def _uids(dataset: EncodedDataset) -> tuple[str, str, str]:
    if not dataset.members:
        raise BrokenDicom("the data set is empty")
    return (
        _uid(dataset, tags.STUDY_INSTANCE_UID, "Study Instance UID"),
        _uid(dataset, tags.SERIES_INSTANCE_UID, "Series Instance UID"),
        _uid(dataset, tags.SOP_INSTANCE_UID, "SOP Instance UID"),
    )


def _uid(dataset: EncodedDataset, tag: int, name: str) -> str:
    if isinstance(dataset.value(tag), int | float):  # 1.20 would become the UID 1.2
        raise InvalidUid(f"{name} {format_tag(tag)} is a number")
    values = dataset.texts(tag)
    if len(values) > 1:
        raise InvalidUid(f"{name} {format_tag(tag)} has {len(values)} values")
    return check_uid(values[0] if values else None, f"{name} {format_tag(tag)}")


def _count(dataset: EncodedDataset, tag: int) -> int:
    value = dataset.value(tag)
    return value if isinstance(value, int) else 0


def _number_of_frames(dataset: EncodedDataset) -> int | None:
    """Number of Frames; None if it is missing, 0 if it is no number."""
    value = dataset.value(tags.NUMBER_OF_FRAMES)
    return value if value is None or isinstance(value, int) else 0


def _bits(dataset: EncodedDataset, value_length: int | None) -> int:
    """Bits of one uncompressed frame; 0 where the Image Pixel attributes do not say."""
    allocated = _count(dataset, tags.BITS_ALLOCATED)
    pixels = dataset.pixels
    if pixels is not None and pixels.tag != tags.PIXEL_DATA:
        allocated = 32 if pixels.tag == tags.FLOAT_PIXEL_DATA else 64
    try:
        return frame_bits(
            _count(dataset, tags.ROWS),
            _count(dataset, tags.COLUMNS),
            _count(dataset, tags.SAMPLES_PER_PIXEL) or 1,
            allocated,
            dataset.text(tags.PHOTOMETRIC_INTERPRETATION) or "",
            value_length,
            _number_of_frames(dataset),
        )
    except BrokenDicom:
        return 0
