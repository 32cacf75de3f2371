"""The one table of transfer syntaxes (PS3.5 10, PS3.6 annex A) and media types (PS3.18 table 8.7.3-5)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """What a transfer syntax UID says about a data set and about the frames in it."""

    uid: str
    name: str
    media_type: str
    """The media type of one frame (PS3.18 8.7.3.3)."""
    suffix: str = ""
    """What frame files of this media type carry before `.mht`; empty for uncompressed frames."""
    encapsulated: bool = False
    lossy: bool = False
    explicit_vr: bool = True
    little_endian: bool = True
    deflated: bool = False
    """The data set after the file meta information is a raw deflate stream (PS3.5 A.5)."""
    video: bool = False
    """All frames are one stream, possibly in several fragments; no frame stands alone."""
    frames_deflated: bool = False
    """Each frame is a raw deflate stream of a native frame (Deflated Image Frame Compression)."""

    @property
    def served_uid(self) -> str:
        """The transfer syntax in which the archive keeps and serves frames of this one.

        Implicit VR, big endian, deflated and encapsulated-uncompressed data sets are kept as native little
        endian frames, so they are announced as Explicit VR Little Endian (PS3.18 8.7.3).
        """
        return EXPLICIT_VR_LITTLE_ENDIAN if self.media_type == OCTET_STREAM else self.uid


OCTET_STREAM = "application/octet-stream"
IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"
RLE_LOSSLESS = "1.2.840.10008.1.2.5"
JPEG_LS_LOSSLESS = "1.2.840.10008.1.2.4.80"
HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
HTJ2K_LOSSLESS_RPCL = "1.2.840.10008.1.2.4.202"
DEFLATED_IMAGE_FRAME = "1.2.840.10008.1.2.8.1"

_JPEG = "image/jpeg"
_JLS = "image/jls"
_JP2 = "image/jp2"
_JPX = "image/jpx"
_JPHC = "image/jphc"
_JXL = "image/jxl"
_MPEG2 = "video/mpeg"
_MP4 = "video/mp4"
_HEVC = "video/H265"


def _frames(uid: str, name: str, media_type: str, suffix: str, lossy: bool = False) -> TransferSyntax:
    return TransferSyntax(uid, name, media_type, suffix, encapsulated=True, lossy=lossy)


def _video(uid: str, name: str, media_type: str, suffix: str) -> TransferSyntax:
    return TransferSyntax(uid, name, media_type, suffix, encapsulated=True, lossy=True, video=True)


_P = "1.2.840.10008.1.2."

_ALL = (
    TransferSyntax(IMPLICIT_VR_LITTLE_ENDIAN, "Implicit VR Little Endian", OCTET_STREAM, explicit_vr=False),
    TransferSyntax(EXPLICIT_VR_LITTLE_ENDIAN, "Explicit VR Little Endian", OCTET_STREAM),
    TransferSyntax(
        ENCAPSULATED_UNCOMPRESSED,
        "Encapsulated Uncompressed Explicit VR Little Endian",
        OCTET_STREAM,
        encapsulated=True,
    ),
    TransferSyntax(
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
        "Deflated Explicit VR Little Endian",
        OCTET_STREAM,
        deflated=True,
    ),
    TransferSyntax(EXPLICIT_VR_BIG_ENDIAN, "Explicit VR Big Endian", OCTET_STREAM, little_endian=False),
    _frames(RLE_LOSSLESS, "RLE Lossless", "image/dicom-rle", "rle"),
    _frames(_P + "4.50", "JPEG Baseline (Process 1)", _JPEG, "jpg", lossy=True),
    _frames(_P + "4.51", "JPEG Extended (Process 2 and 4)", _JPEG, "jpg", lossy=True),
    _frames(_P + "4.52", "JPEG Extended (Process 3 and 5)", _JPEG, "jpg", lossy=True),
    _frames(_P + "4.53", "JPEG Spectral Selection (Process 6 and 8)", _JPEG, "jpg", lossy=True),
    _frames(_P + "4.54", "JPEG Spectral Selection (Process 7 and 9)", _JPEG, "jpg", lossy=True),
    _frames(_P + "4.55", "JPEG Full Progression (Process 10 and 12)", _JPEG, "jpg", lossy=True),
    _frames(_P + "4.56", "JPEG Full Progression (Process 11 and 13)", _JPEG, "jpg", lossy=True),
    _frames(_P + "4.57", "JPEG Lossless (Process 14)", _JPEG, "jpg"),
    _frames(_P + "4.70", "JPEG Lossless (Process 14, Selection Value 1)", _JPEG, "jpg"),
    _frames(_P + "4.80", "JPEG-LS Lossless", _JLS, "jls"),
    _frames(_P + "4.81", "JPEG-LS Near-lossless", _JLS, "jls", lossy=True),
    _frames(_P + "4.90", "JPEG 2000 Lossless", _JP2, "jp2"),
    _frames(_P + "4.91", "JPEG 2000", _JP2, "jp2", lossy=True),
    _frames(_P + "4.92", "JPEG 2000 Part 2 Multi-component Lossless", _JPX, "jpx"),
    _frames(_P + "4.93", "JPEG 2000 Part 2 Multi-component", _JPX, "jpx", lossy=True),
    _video(_P + "4.100", "MPEG2 Main Profile / Main Level", _MPEG2, "mpg"),
    _video(_P + "4.100.1", "Fragmentable MPEG2 Main Profile / Main Level", _MPEG2, "mpg"),
    _video(_P + "4.101", "MPEG2 Main Profile / High Level", _MPEG2, "mpg"),
    _video(_P + "4.101.1", "Fragmentable MPEG2 Main Profile / High Level", _MPEG2, "mpg"),
    _video(_P + "4.102", "MPEG-4 AVC/H.264 High Profile / Level 4.1", _MP4, "mp4"),
    _video(_P + "4.102.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1", _MP4, "mp4"),
    _video(_P + "4.103", "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", _MP4, "mp4"),
    _video(_P + "4.103.1", "Fragmentable MPEG-4 AVC/H.264 BD-compatible / Level 4.1", _MP4, "mp4"),
    _video(_P + "4.104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video", _MP4, "mp4"),
    _video(_P + "4.104.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D", _MP4, "mp4"),
    _video(_P + "4.105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video", _MP4, "mp4"),
    _video(_P + "4.105.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D", _MP4, "mp4"),
    _video(_P + "4.106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", _MP4, "mp4"),
    _video(_P + "4.106.1", "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", _MP4, "mp4"),
    _video(_P + "4.107", "HEVC/H.265 Main Profile / Level 5.1", _HEVC, "h265"),
    _video(_P + "4.108", "HEVC/H.265 Main 10 Profile / Level 5.1", _HEVC, "h265"),
    _frames(_P + "4.110", "JPEG XL Lossless", _JXL, "jxl"),
    _frames(_P + "4.111", "JPEG XL JPEG Recompression", _JXL, "jxl", lossy=True),
    _frames(_P + "4.112", "JPEG XL", _JXL, "jxl", lossy=True),
    _frames(_P + "4.201", "High-Throughput JPEG 2000 Lossless", _JPHC, "jphc"),
    _frames(_P + "4.202", "High-Throughput JPEG 2000 with RPCL Lossless", _JPHC, "jphc"),
    _frames(_P + "4.203", "High-Throughput JPEG 2000", _JPHC, "jphc", lossy=True),
    TransferSyntax(
        DEFLATED_IMAGE_FRAME,
        "Deflated Image Frame Compression",
        OCTET_STREAM,
        encapsulated=True,
        frames_deflated=True,
    ),
)

TRANSFER_SYNTAXES: dict[str, TransferSyntax] = {syntax.uid: syntax for syntax in _ALL}

FRAME_SUFFIXES: dict[str, str] = {syntax.suffix: syntax.media_type for syntax in _ALL}
"""Suffix of a frame file (empty: uncompressed) -> media type, in the order of the table."""
