import pytest

from staticwado.dicomweb.store_request import Form, PartType, StoreRequest, read_content_type, read_part_type
from staticwado.errors import BadRequest, UnsupportedMedia


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('multipart/related; type="application/dicom"; boundary="a b"', StoreRequest(Form.DICOM, "a b")),
        ("multipart/related;boundary=EOF;type=application/dicom", StoreRequest(Form.DICOM, "EOF")),
        ("multipart/related; boundary=EOF", StoreRequest(Form.DICOM, "EOF")),
        ('multipart/related; type="application/dicom+json"; boundary=x', StoreRequest(Form.JSON, "x")),
        ('multipart/related; type="application/dicom+xml"; boundary=x', StoreRequest(Form.XML, "x")),
        (
            'multipart/related; type="application/dicom;transfer-syntax=1.2"; boundary=x',
            StoreRequest(Form.DICOM, "x"),
        ),
        ("APPLICATION/DICOM; transfer-syntax=*", StoreRequest(Form.DICOM, None)),
        ("application/dicom+json", StoreRequest(Form.JSON, None)),
        ("application/json", StoreRequest(Form.JSON, None)),
    ],
)
def test_the_type_says_how_to_read_a_body(text: str, expected: StoreRequest) -> None:
    assert read_content_type(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "application/dicom+xml",
        "multipart/mixed; boundary=x",
        "image/jpeg",
        'multipart/related; type="image/jpeg"; boundary=x',
    ],
)
def test_what_is_not_taken_is_refused_with_what_is(text: str | None) -> None:
    with pytest.raises(UnsupportedMedia, match="taken are: multipart/related"):
        read_content_type(text)


@pytest.mark.parametrize(
    "text", ["multipart/related", "multipart/related; boundary=", 'multipart/related; boundary=""']
)
def test_a_multipart_needs_a_boundary(text: str) -> None:
    with pytest.raises(BadRequest, match="boundary"):
        read_content_type(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, PartType("application/octet-stream")),
        ("image/JP2", PartType("image/jp2")),
        (
            "image/jls; transfer-syntax=1.2.840.10008.1.2.4.80",
            PartType("image/jls", "1.2.840.10008.1.2.4.80"),
        ),
    ],
)
def test_a_part_says_what_it_is(text: str | None, expected: PartType) -> None:
    assert read_part_type(text) == expected
