"""What the Content-Type of a request to store says, of the body and of its parts (PS3.18 10.5.1, 8.6.1.2).

One rule: a type that is not taken is refused with the list of those that are.
"""

from dataclasses import dataclass
from enum import Enum

from staticwado.dicomweb.media import MULTIPART, parse_content_type
from staticwado.errors import BadRequest, UnsupportedMedia


class Form(Enum):
    """In what form the instances of a request are."""

    DICOM = "application/dicom"
    """Each part is a Part 10 file."""
    JSON = "application/dicom+json"
    """One part with an array of data sets; the other parts are bulkdata."""
    XML = "application/dicom+xml"
    """A part a data set; the other parts are bulkdata."""


TAKEN = ", ".join(
    [
        *(f'multipart/related; type="{form.value}"' for form in Form),
        Form.DICOM.value,
        Form.JSON.value,
    ]
)
"""What can be stored, in words."""
_FORMS = {form.value: form for form in Form} | {
    "application/json": Form.JSON,
    "application/octet-stream": Form.DICOM,
}


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """How to read the body of a request."""

    form: Form
    boundary: str | None
    """None where the body is no multipart but the one thing itself."""


@dataclass(frozen=True, slots=True)
class PartType:
    """What the Content-Type of a part says."""

    media_type: str
    transfer_syntax: str | None = None


def read_content_type(text: str | None) -> StoreRequest:
    """How to read a body of the Content-Type `text`; quotes and the order of parameters do not matter.

    A multipart without `type` is taken for Part 10 files. Raises UnsupportedMedia for what is not taken, and
    BadRequest for a multipart without a boundary.
    """
    if not text or not text.strip():
        raise UnsupportedMedia(f"the request has no Content-Type; taken are: {TAKEN}")
    media_type, parameters = parse_content_type(text)
    if media_type == MULTIPART:
        root, _ = parse_content_type(parameters.get("type", Form.DICOM.value))
        form = _FORMS.get(root)
        if form is None:
            raise UnsupportedMedia(f"parts of the type {root[:80]!r} are not taken; taken are: {TAKEN}")
        boundary = parameters.get("boundary")
        if not boundary:
            raise BadRequest("the Content-Type multipart/related has no boundary")
        return StoreRequest(form, boundary)
    form = _FORMS.get(media_type)
    if form not in (Form.DICOM, Form.JSON) or media_type == "application/octet-stream":
        raise UnsupportedMedia(f"a body of the type {media_type[:80]!r} is not taken; taken are: {TAKEN}")
    return StoreRequest(form, None)


def read_part_type(text: str | None) -> PartType:
    """What the Content-Type of a part says; without one, bytes (PS3.18 8.6.1.2)."""
    if not text or not text.strip():
        return PartType("application/octet-stream")
    media_type, parameters = parse_content_type(text)
    return PartType(media_type, parameters.get("transfer-syntax") or None)


def is_metadata(form: Form, part: PartType) -> bool:
    """Whether a part of a request in `form`, which is not DICOM, holds data sets and not bulkdata."""
    return part.media_type == form.value or (form is Form.JSON and part.media_type == "application/json")
