"""Tags and the data dictionary (PS3.6, PS3.7 annex E); the dictionary itself is pydicom's."""

from functools import lru_cache

SPECIFIC_CHARACTER_SET = 0x00080005
SOP_CLASS_UID = 0x00080016
SOP_INSTANCE_UID = 0x00080018
STUDY_INSTANCE_UID = 0x0020000D
SERIES_INSTANCE_UID = 0x0020000E
AVAILABLE_TRANSFER_SYNTAX_UID = 0x00083002
NUMBER_OF_FRAMES = 0x00280008
SAMPLES_PER_PIXEL = 0x00280002
PHOTOMETRIC_INTERPRETATION = 0x00280004
ROWS = 0x00280010
COLUMNS = 0x00280011
BITS_ALLOCATED = 0x00280100
PIXEL_REPRESENTATION = 0x00280103
WAVEFORM_DATA = 0x54001010
ENCAPSULATED_DOCUMENT = 0x00420011
MIME_TYPE = 0x00420012
EXTENDED_OFFSET_TABLE = 0x7FE00001
EXTENDED_OFFSET_TABLE_LENGTHS = 0x7FE00002
FLOAT_PIXEL_DATA = 0x7FE00008
DOUBLE_FLOAT_PIXEL_DATA = 0x7FE00009
PIXEL_DATA = 0x7FE00010
PIXEL_DATA_TAGS = frozenset({FLOAT_PIXEL_DATA, DOUBLE_FLOAT_PIXEL_DATA, PIXEL_DATA})
DATA_SET_TRAILING_PADDING = 0xFFFCFFFC

ITEM = 0xFFFEE000
ITEM_DELIMITATION = 0xFFFEE00D
SEQUENCE_DELIMITATION = 0xFFFEE0DD


def format_tag(tag: int) -> str:
    """A tag as people write it: (0010,0020)."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def is_private(tag: int) -> bool:
    """Whether a tag belongs to a private group (odd group number, PS3.5 7.8)."""
    return bool(tag & 0x10000)


def is_private_creator(tag: int) -> bool:
    """Whether a tag is that of a Private Creator element: (gggg,0010-00FF), gggg odd."""
    return bool(tag & 0x10000) and 0x10 <= tag & 0xFFFF <= 0xFF


@lru_cache(maxsize=16384)
def dictionary_vr(tag: int, creator: str | None = None) -> str:
    """The VR that the dictionary gives a tag, such as `US`, `US or SS`, or `UN` for what it does not know.

    `creator` is the Private Creator of a private tag.
    """
    element = tag & 0xFFFF
    if element == 0:
        return "UL"
    if is_private_creator(tag):
        return "LO"
    from pydicom.datadict import dictionary_VR, private_dictionary_VR  # 0.3 s; often not needed

    try:
        if is_private(tag):
            return private_dictionary_VR(tag, creator) if creator else "UN"
        return dictionary_VR(tag)
    except KeyError:
        return "UN"


def choose_vr(vr: str, tag: int, pixel_representation: int) -> str:
    """One VR where the dictionary leaves a choice (PS3.5 annex A.1; PS3.3 C.11.1.1 for look-up tables)."""
    if " or " not in vr:
        return vr
    if "OW" in vr:
        return "OW"
    return "SS" if pixel_representation == 1 else "US"
