"""What an instance can be rendered as (PS3.18 8.7.2, 8.7.4), and the renderings that are text.

One rule: what cannot be shown is NotAcceptable with the reason, never an empty page.
"""

from collections.abc import Callable, Iterator
from enum import Enum

from staticwado.dicom import cda, report, report_html
from staticwado.dicom.content_items import opened
from staticwado.dicom.content_values import Link, sop_class_name
from staticwado.dicom.jsonvalues import Bulkdata, Dataset, binary, first_integer, text
from staticwado.dicom.report import is_report
from staticwado.dicom.transfer_syntax import TRANSFER_SYNTAXES, TransferSyntax
from staticwado.dicom.xmlmodel import to_xml
from staticwado.errors import NotAcceptable

HTML, PLAIN, XML, PDF = "text/html", "text/plain", "text/xml", "application/pdf"
_SOP_CLASS, _SYNTAX, _FRAMES = "00080016", "00083002", "00280008"
_DOCUMENT, _DOCUMENT_TYPE, _DOCUMENT_LENGTH = "00420011", "00420012", "00420015"
_PIXELS = ("7FE00010", "7FE00008", "7FE00009")
_PIXEL_PROVIDER = "00287FE0"
_BATCH = 1 << 16

DOCUMENT_TYPES = {
    "1.2.840.10008.5.1.4.1.1.104.1": PDF,
    "1.2.840.10008.5.1.4.1.1.104.2": XML,
    "1.2.840.10008.5.1.4.1.1.104.3": "model/stl",
    "1.2.840.10008.5.1.4.1.1.104.4": "model/obj",
    "1.2.840.10008.5.1.4.1.1.104.5": "model/mtl",
}
"""SOP classes with the Encapsulated Document Module, and what they hold (PS3.3 A.45, A.85, A.104)."""


class Category(Enum):
    """Resource categories (PS3.18 table 8.7.2-1)."""

    SINGLE_FRAME_IMAGE = "single frame image"
    MULTI_FRAME_IMAGE = "multi-frame image"
    VIDEO = "video"
    TEXT = "text"
    OTHER = "other"


RENDERED_TYPES = {
    Category.SINGLE_FRAME_IMAGE: ("image/jpeg", "image/gif", "image/png"),
    Category.MULTI_FRAME_IMAGE: ("image/gif",),
    Category.VIDEO: ("video/mp4", "video/mpeg", "video/H265"),
    Category.TEXT: (HTML, PLAIN, XML, PDF),
    Category.OTHER: (),
}
"""Media types of PS3.18 table 8.7.4-1, the default first; of video the stored one alone is at hand."""


def category(dataset: Dataset) -> Category:
    """The resource category of an instance, from its DICOM JSON (PS3.18 8.7.2).

    The attributes decide, so that private SOP classes have one too; where they are missing, the SOP class.
    A frame of an instance is a single frame image whatever this says.
    """
    if is_report(dataset) or is_document(dataset):
        return Category.TEXT
    if not any(tag in dataset for tag in (*_PIXELS, _PIXEL_PROVIDER)):
        return Category.OTHER
    syntax = _syntax(dataset)
    if syntax is not None and syntax.video:
        return Category.VIDEO
    several = (first_integer(dataset, _FRAMES) or 1) > 1
    return Category.MULTI_FRAME_IMAGE if several else Category.SINGLE_FRAME_IMAGE


def is_document(dataset: Dataset) -> bool:
    """Whether a data set holds the Encapsulated Document Module (PS3.3 C.24.2)."""
    return _DOCUMENT in dataset or text(dataset, _SOP_CLASS) in DOCUMENT_TYPES


def _syntax(dataset: Dataset) -> TransferSyntax | None:
    return TRANSFER_SYNTAXES.get(text(dataset, _SYNTAX))


def document_type(dataset: Dataset) -> str:
    """The media type of an encapsulated document: as it says itself (0042,0012), else that of its class."""
    said = text(dataset, _DOCUMENT_TYPE).lower().partition(";")[0].strip()
    return said or DOCUMENT_TYPES.get(text(dataset, _SOP_CLASS), "")


def offers(dataset: Dataset) -> tuple[str, ...]:
    """The rendered media types of an instance, the default first (PS3.18 table 8.7.4-1).

    Raises NotAcceptable, which says why there are none.
    """
    found = category(dataset)
    if found is Category.OTHER:
        raise NotAcceptable(
            f"an instance of {_name(dataset)} holds neither image nor text: it cannot be rendered"
        )
    if found is Category.TEXT:
        return _text_offers(dataset)
    if not any(tag in dataset for tag in _PIXELS):
        raise NotAcceptable(
            f"the pixels of this {_name(dataset)} are kept by another server (JPIP): it cannot be rendered"
        )
    syntax = _syntax(dataset)
    return (syntax.media_type,) if found is Category.VIDEO and syntax is not None else RENDERED_TYPES[found]


def _name(dataset: Dataset) -> str:
    return sop_class_name(text(dataset, _SOP_CLASS))


def _text_offers(dataset: Dataset) -> tuple[str, ...]:
    if is_report(dataset):
        return (HTML, PLAIN, XML)
    kind = document_type(dataset)
    if _DOCUMENT not in dataset:
        raise NotAcceptable(
            f"this {_name(dataset)} holds no Encapsulated Document (0042,0011): there is nothing to render"
        )
    if kind == PDF:
        return (PDF,)
    if kind in (XML, "application/xml", "text/hl7v3+xml", "application/hl7-sda+xml"):
        return (HTML, PLAIN, XML)
    raise NotAcceptable(
        f"a document of type {kind or 'unknown'} cannot be rendered; its bulkdata can be retrieved"
    )


def document(dataset: Dataset, bulkdata: Bulkdata) -> bytes:
    """The encapsulated document, without the byte that pads it to an even length.

    Raises NotAcceptable if there is none, and what `bulkdata` raises.
    """
    found = binary(dataset, _DOCUMENT, bulkdata)
    if not found:
        raise NotAcceptable("the Encapsulated Document (0042,0011) is empty")
    length = first_integer(dataset, _DOCUMENT_LENGTH)
    if length is not None and length == len(found) - 1:
        return found[:length]
    is_utf_16 = found[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in found[:2]
    return found if length is not None or is_utf_16 else found.removesuffix(b"\0")


def render_text(
    dataset: Dataset, media_type: str, *, bulkdata: Bulkdata, link: Link = report.no_links
) -> Iterator[bytes]:
    """The body of one of `offers` of the text category, in UTF-8 but for documents that are sent as they are.

    Everything that may fail does so before the first piece, but for bulkdata of a report (texts past 1 MiB).
    Raises NotAcceptable, and what `bulkdata` raises.
    """
    if media_type not in offers(dataset):
        raise NotAcceptable(f"this instance cannot be rendered as {media_type}")
    if not is_report(dataset):
        return _render_document(document(dataset, bulkdata), media_type)
    if media_type == XML:
        return iter((to_xml(opened(dataset)),))
    if media_type == PLAIN:
        return _encoded(report.plain_text(dataset, bulkdata=bulkdata))
    return _encoded(report_html.html(dataset, bulkdata=bulkdata, link=link))


_RENDER_CDA: dict[str, Callable[[cda.Narrative], Iterator[str]]] = {HTML: cda.html, PLAIN: cda.plain_text}


def _render_document(found: bytes, media_type: str) -> Iterator[bytes]:
    render = _RENDER_CDA.get(media_type)
    return _encoded(render(cda.read_narrative(found))) if render is not None else iter((found,))


def _encoded(pieces: Iterator[str]) -> Iterator[bytes]:
    """Text in UTF-8, in pieces worth sending."""
    batch: list[str] = []
    size = 0
    for piece in pieces:
        batch.append(piece)
        size += len(piece)
        if size >= _BATCH:
            yield "".join(batch).encode()
            batch, size = [], 0
    if batch:
        yield "".join(batch).encode()
