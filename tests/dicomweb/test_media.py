"""Content negotiation: what is understood of an Accept header, and which offer it chooses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staticwado.dicomweb.media import (
    MediaRange,
    Offer,
    accepts_gzip,
    check_mixture,
    choose,
    choose_syntax,
    parse_accept,
)
from staticwado.errors import BadRequest, NotAcceptable

JSON, PLAIN = Offer("application/dicom+json"), Offer("application/json")
JLS = "1.2.840.10008.1.2.4.80"
FRAMES = (
    Offer("image/jls", True, JLS, ("application/octet-stream",)),
    Offer("image/jls", False, JLS, ("application/octet-stream",)),
)
NATIVE = (
    Offer("application/octet-stream", True, "1.2.840.10008.1.2.1"),
    Offer("application/octet-stream", False, "1.2.840.10008.1.2.1"),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, [MediaRange("*/*")]),
        ("", [MediaRange("*/*")]),
        ("application/dicom+json", [MediaRange("application/dicom+json")]),
        ("Application/DICOM+JSON", [MediaRange("application/dicom+json")]),
        ("text/html;q=0.5", [MediaRange("text/html", quality=0.5)]),
        ("text/html ; q=0", [MediaRange("text/html", quality=0)]),
        ("toto, text/html", [MediaRange("text/html")]),
        ("*/html, text/html", [MediaRange("text/html")]),
        ("text/html;q=2, a/b;q=x, c/d;q=nan", []),
        (
            'multipart/related; type="application/octet-stream"; transfer-syntax=*',
            [MediaRange("multipart/related", "application/octet-stream", "*")],
        ),
        (
            "multipart/related; transfer-syntax=*; boundary=**; type=application/octet-stream",
            [MediaRange("multipart/related", "application/octet-stream", "*")],
        ),
        (
            'multipart/related;type="image/jls, a;b";q=0.1, a/b',
            [MediaRange("multipart/related", "image/jls, a;b", None, 0.1), MediaRange("a/b")],
        ),
        ("image/x-jls", [MediaRange("image/jls")]),
        ("application/dicom json", [MediaRange("application/dicom+json")]),
        (",,;,", []),
    ],
)
def test_an_accept_header_is_read(text: str | None, expected: list[MediaRange]) -> None:
    assert parse_accept(text) == tuple(expected)


@pytest.mark.parametrize(
    ("accept", "offers", "chosen"),
    [
        ("*/*", (JSON, PLAIN), JSON),
        ("application/json", (JSON, PLAIN), PLAIN),
        ("application/dicom+json, application/json", (JSON, PLAIN), JSON),
        ("application/dicom+json;q=0.1, application/json", (JSON, PLAIN), PLAIN),
        ("application/dicom+json;q=0, */*", (JSON, PLAIN), PLAIN),
        ("application/*;q=0.5, application/json;q=0.2", (JSON, PLAIN), JSON),
        (
            "application/dicom+json, multipart/related; type=application/octet-stream; transfer-syntax=*",
            (JSON, PLAIN),
            JSON,
        ),
        ("*/*", FRAMES, FRAMES[0]),
        ("multipart/related", FRAMES, FRAMES[0]),
        ('multipart/related; type="*/*"', FRAMES, FRAMES[0]),
        ('multipart/related; type="image/*"', FRAMES, FRAMES[0]),
        ("multipart/related; type=application/octet-stream; transfer-syntax=*", FRAMES, FRAMES[0]),
        ('multipart/related; type="application/octet-stream"', FRAMES, FRAMES[0]),
        (f"multipart/related; type=image/jls; transfer-syntax={JLS}", FRAMES, FRAMES[0]),
        ("image/jls", FRAMES, FRAMES[1]),
        ("image/*", FRAMES, FRAMES[1]),
        ("application/octet-stream; transfer-syntax=*", FRAMES, FRAMES[1]),
        ("application/octet-stream", NATIVE, NATIVE[1]),
        ("application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1", NATIVE, NATIVE[1]),
    ],
)
def test_the_offer_that_the_client_likes_best_is_chosen(
    accept: str, offers: tuple[Offer, ...], chosen: Offer
) -> None:
    assert choose(parse_accept(accept), offers) == chosen


@pytest.mark.parametrize(
    ("accept", "offers"),
    [
        ("toto", (JSON,)),
        ("image/png", (JSON, PLAIN)),
        ("*/*;q=0", (JSON,)),
        ('multipart/related; type="application/dicom+xml"', (JSON,)),
        ("application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1", FRAMES),
        ("multipart/related; type=image/jls; transfer-syntax=1.2.840.10008.1.2.4.81", FRAMES),
        ("multipart/related; type=image/jp2", FRAMES),
        ("image/jls", FRAMES[:1]),
    ],
)
def test_an_error_lists_what_is_on_offer(accept: str, offers: tuple[Offer, ...]) -> None:
    with pytest.raises(NotAcceptable) as raised:
        choose(parse_accept(accept), offers)
    assert str(offers[0]) in str(raised.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("gzip, deflate, br", True),
        ("gzip;q=0", False),
        ("gzip;q=0.0, *", False),
        ("*", True),
        ("*;q=0", False),
        ("identity", False),
        ("br;q=1.0, gzip;q=0.8", True),
        ("identity;q=1, *;q=0", False),
        ("gzip;q=hello", False),
    ],
)
def test_gzip_is_sent_only_to_those_who_take_it(text: str | None, expected: bool) -> None:
    assert accepts_gzip(text) is expected


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_error(text: str) -> None:
    parse_accept(text)
    accepts_gzip(text)


@given(
    st.lists(
        st.tuples(st.sampled_from(["*/*", "image/*", "image/jls", "multipart/related"]), st.floats(0.01, 1)),
        min_size=1,
    )
)
def test_the_order_of_entries_does_not_matter(entries: list[tuple[str, float]]) -> None:
    texts = [f"{name};q={quality:.3f}" for name, quality in entries]
    forwards = choose(parse_accept(", ".join(texts)), FRAMES)
    assert choose(parse_accept(", ".join(reversed(texts))), FRAMES) == forwards


EXPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
INSTANCES = Offer("application/dicom", multipart=True)
M = 'multipart/related; type="application/dicom"'


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, EXPLICIT),
        ("*/*", EXPLICIT),
        (M, EXPLICIT),
        (f"{M}; transfer-syntax=*", DEFLATED),
        (f"{M}; transfer-syntax={EXPLICIT}", EXPLICIT),
        (f"{M}; transfer-syntax={DEFLATED}", DEFLATED),
        (f"{M}; transfer-syntax={JLS}", None),
        (f"{M}; transfer-syntax={JLS}, {M}; transfer-syntax=*", DEFLATED),
        (f"{M}; transfer-syntax={EXPLICIT};q=0.1, {M}; transfer-syntax=*", DEFLATED),
        (f"{M}; transfer-syntax={EXPLICIT}, {M}; transfer-syntax=*;q=0.1", EXPLICIT),
        (f"{M}; transfer-syntax={DEFLATED};q=0, {M}; transfer-syntax=*", EXPLICIT),
        (f"{M}; transfer-syntax={EXPLICIT};q=0, {M}", None),
        (f"{M};q=0", None),
        (f"{M};q=0, */*", None),
        (f"{M}; transfer-syntax={JLS}, */*;q=0.1", EXPLICIT),
        ("application/dicom; transfer-syntax=*", None),
        ("application/zip", None),
    ],
)
def test_the_transfer_syntax_of_each_instance_is_chosen(accept: str | None, chosen: str | None) -> None:
    assert choose_syntax(parse_accept(accept), INSTANCES, DEFLATED, EXPLICIT) == chosen


def test_what_is_kept_in_one_syntax_alone_is_sent_in_it() -> None:
    for accept in (M, f"{M}; transfer-syntax=*", f"{M}; transfer-syntax={JLS}"):
        assert choose_syntax(parse_accept(accept), INSTANCES, JLS, JLS) == JLS
    assert choose_syntax(parse_accept(f"{M}; transfer-syntax={EXPLICIT}"), INSTANCES, JLS, JLS) is None


PLAIN_FRAMES = Offer("application/octet-stream", True, EXPLICIT, starred=False)
KEPT_FRAMES = Offer("image/jls", True, JLS, ("application/octet-stream",), also_unnamed=False)
NAMED_FRAMES = Offer("image/jphc", True, "1.2.840.10008.1.2.4.202", unnamed=False, starred=False)
OCTETS = 'multipart/related; type="application/octet-stream"'


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("*/*", PLAIN_FRAMES),
        ("multipart/related", PLAIN_FRAMES),
        (OCTETS, PLAIN_FRAMES),
        (f"{OCTETS}; transfer-syntax=*", KEPT_FRAMES),
        (f"{OCTETS}; transfer-syntax={JLS}", KEPT_FRAMES),
        (f"{OCTETS}; transfer-syntax={EXPLICIT}", PLAIN_FRAMES),
        ("multipart/related; type=image/jls", KEPT_FRAMES),
        ("multipart/related; type=image/jphc", None),
        ("multipart/related; type=image/jphc; transfer-syntax=*", None),
        ("multipart/related; type=image/jphc; transfer-syntax=1.2.840.10008.1.2.4.202", NAMED_FRAMES),
        (f"{OCTETS};q=0, */*", KEPT_FRAMES),
    ],
)
def test_what_is_stored_what_is_the_default_and_what_has_to_be_named(
    accept: str, chosen: Offer | None
) -> None:
    offers = (PLAIN_FRAMES, KEPT_FRAMES, NAMED_FRAMES)
    if chosen is None:
        with pytest.raises(NotAcceptable, match="on offer: multipart/related"):
            choose(parse_accept(accept), offers)
    else:
        assert choose(parse_accept(accept), offers) == chosen


@pytest.mark.parametrize(
    ("accept", "mixed"),
    [
        ("application/dicom, image/png", True),
        ('multipart/related; type="application/dicom", text/html', True),
        ("application/dicom+json, image/gif;q=0", False),
        ("application/dicom+json, image/jpeg", False),
        ("text/html, application/xhtml+xml, */*;q=0.8", False),
        ("application/json, text/plain, */*", False),
        (
            "application/dicom+json, multipart/related; type=application/octet-stream; transfer-syntax=*",
            False,
        ),
        ("*/*", False),
    ],
)
def test_types_of_dicom_and_rendered_ones_do_not_mix(accept: str, mixed: bool) -> None:
    if mixed:
        with pytest.raises(BadRequest, match="mix those of DICOM"):
            check_mixture(parse_accept(accept))
    else:
        check_mixture(parse_accept(accept))


def test_other_transfer_syntaxes_are_for_whoever_names_them() -> None:
    others = (JLS, EXPLICIT)
    assert (
        choose_syntax(parse_accept(f"{M}; transfer-syntax={JLS}"), INSTANCES, EXPLICIT, EXPLICIT, others)
        == JLS
    )
    for accept in (M, f"{M}; transfer-syntax=*", "*/*"):
        assert choose_syntax(parse_accept(accept), INSTANCES, EXPLICIT, EXPLICIT, others) == EXPLICIT
