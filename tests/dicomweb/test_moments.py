"""Dates and times as numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staticwado.dicomweb.moments import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Period,
    parse_date,
    parse_date_time,
    parse_moment,
    parse_range,
    parse_time,
    parse_zone,
)


def length(period: Period | None) -> int:
    assert period is not None
    assert period.first is not None
    assert period.last is not None
    return period.last - period.first + 1


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("20240229", 1),
        ("202402", 29),
        ("2024", 366),
        ("2023", 365),
        ("2024.02.29", 1),
        ("9999", 365),
        ("999912", 31),
    ],
)
def test_a_date_is_as_long_as_its_precision(text: str, days: int) -> None:
    assert length(parse_date(text)) == days * DAY


@pytest.mark.parametrize(
    ("text", "first", "size"),
    [
        ("10", 10 * HOUR, HOUR),
        ("1030", 10 * HOUR + 30 * MINUTE, MINUTE),
        ("103005", 10 * HOUR + 30 * MINUTE + 5 * SECOND, SECOND),
        ("103005.1", 10 * HOUR + 30 * MINUTE + 5 * SECOND + 100_000, 100_000),
        ("103005.000001", 10 * HOUR + 30 * MINUTE + 5 * SECOND + 1, 1),
        ("10:30:05", 10 * HOUR + 30 * MINUTE + 5 * SECOND, SECOND),
        ("235960", DAY - SECOND, SECOND),
    ],
)
def test_a_time_is_as_long_as_its_precision(text: str, first: int, size: int) -> None:
    found = parse_time(text)
    assert found is not None
    assert (found.first, length(found)) == (first, size)


@pytest.mark.parametrize(
    ("vr", "text"),
    [
        ("DA", ""), ("DA", "20230229"), ("DA", "20231301"), ("DA", "202"), ("DA", "0000"),
        ("DA", "2020-01-01"),
        ("DA", "\u0662\u0660\u0662\u0660"), ("TM", "24"), ("TM", "1060"),
        ("TM", "1"), ("TM", "103"), ("TM", "10.5"),
        ("TM", "100000.1234567"), ("DT", "202001011"), ("DT", "20200101+0160"), ("DT", "20200101+1500"),
        ("DT", "20201"), ("DT", "2020010125"),
    ],
)  # fmt: skip
def test_what_is_no_moment_is_none(vr: str, text: str) -> None:
    assert parse_moment(vr, text) is None


@pytest.mark.parametrize(
    ("text", "minutes"), [("+0100", 60), ("-0330", -210), ("+1400", 840), ("+1401", None), ("0100", None)]
)
def test_offsets_from_utc(text: str, minutes: int | None) -> None:
    assert parse_zone(text) == minutes


def test_a_hyphen_in_a_date_time_is_an_offset_where_it_can_be_one() -> None:
    single = parse_range("DT", "20200101-0500")
    assert single is not None
    assert (single[0].zone, single[1]) == (-300, False)
    both = parse_range("DT", "20200101-0500-20200102-0500")
    assert both is not None
    assert (both[0].zone, both[1], length(both[0])) == (-300, True, 2 * DAY)
    years = parse_range("DT", "2019-2020")
    assert years is not None
    assert length(years[0]) == (365 + 366) * DAY


def test_a_range_whose_ends_have_other_zones_is_in_the_zone_of_the_first() -> None:
    found = parse_range("DT", "2020010110+0000-2020010112+0100")
    assert found is not None
    assert (found[0].zone, length(found[0])) == (0, 2 * HOUR)


@pytest.mark.parametrize("text", ["-", "--", "a-b", "20200101-", "-20200101", "20200101-x", "2020-01-01"])
def test_a_range_has_one_end_or_two(text: str) -> None:
    found = parse_range("DA", text)
    assert (found is not None) == (text in ("20200101-", "-20200101"))


@given(st.datetimes(), st.sampled_from(["", "+0000", "-1200", "+1400"]))
def test_date_times_are_in_the_order_of_time(moment: object, zone: str) -> None:
    text = f"{moment:%Y%m%d%H%M%S.%f}".rjust(21, "0")
    found = parse_date_time(text + zone)
    day, time = parse_date(text[:8]), parse_time(text[8:])
    assert found is not None
    assert day is not None
    assert time is not None
    assert found.first == (day.first or 0) + (time.first or 0)
    assert length(found) == 1


@given(st.sampled_from(["DA", "TM", "DT"]), st.text("0123456789-+.:", max_size=40) | st.text(max_size=20))
def test_any_text_is_a_range_or_none(vr: str, text: str) -> None:
    found = parse_range(vr, text)
    assert found is None or found[0].first is not None or found[0].last is not None
