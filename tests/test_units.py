from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.errors import ForetokenError
from foretoken.units import (
    format_count,
    format_duration,
    format_flops,
    format_usd,
    parse_count,
    parse_flops,
    parse_hours,
    parse_tokens,
    parse_usd,
)


@pytest.mark.parametrize(
    ("text", "value"), [("7B", 7e9), ("1.5 M", 1.5e6), ("300", 300), ("20_000k", 2e7), (12, 12.0), ("2T", 2e12)]
)
def test_counts(text: str | int, value: float) -> None:
    assert parse_count(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e21 FLOP", 1e21),
        ("3640 PF-days", 3640 * 8.64e19),
        (5e11, 5e11),
        ("1 pf/s-days", 8.64e19),
        ("2 EF-days", 1.728e23),
        ("3 ZFLOP", 3e21),
    ],
)
def test_flops(text: str | float, value: float) -> None:
    assert parse_flops(text) == pytest.approx(value)


@pytest.mark.parametrize(
    "text", ["", "7X", "seven", "-1", "0", "1e400", "nan", True, "7 b", "٣", "1" * 101, [], 10**400]
)
def test_what_is_no_quantity_is_refused(text: str | bool) -> None:
    with pytest.raises(ForetokenError):
        parse_count(text)


@given(st.floats(min_value=100, max_value=9e14))
def test_a_written_count_reads_back_to_three_digits(value: float) -> None:
    assert math.isclose(parse_count(format_count(value)), value, rel_tol=0.006)


@given(st.floats(min_value=1e3, max_value=1e30))
def test_written_flops_read_back(value: float) -> None:
    assert math.isclose(parse_flops(format_flops(value)), value, rel_tol=0.006)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.31, "0.3 s"), (59.6, "1 min 0 s"), (3600, "1 h 0 min"), (200_000, "2 d 7 h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "hours"),
    [("30 days", 720), ("90 min", 1.5), ("1 year", 8766), ("2 weeks", 336), ("12h", 12), ("36 s", 0.01)],
)
def test_times(text: str, hours: float) -> None:
    assert parse_hours(text) == pytest.approx(hours)


@pytest.mark.parametrize("text", ["30", "days", "-3 days", "0 h", "3 fortnights", "", "1e400 h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ForetokenError):
        parse_hours(text)


@pytest.mark.parametrize(
    ("text", "usd"),
    [("$2M", 2e6), ("2M USD", 2e6), ("USD 1,500", 1500), ("4.6 million dollars", 4.6e6), ("$1.5bn", 1.5e9), (7, 7.0)],
)
def test_money(text: str | int, usd: float) -> None:
    assert parse_usd(text) == usd


@pytest.mark.parametrize("text", ["$", "$-5", "-$5", "0 USD", "2 EUR", "$2 $", "", True, "$1e400"])
def test_what_is_no_money_is_refused(text: str | bool) -> None:
    with pytest.raises(ForetokenError):
        parse_usd(text)


@given(st.floats(min_value=100, max_value=9e14))
def test_written_money_reads_back(value: float) -> None:
    assert math.isclose(parse_usd(format_usd(value)), value, rel_tol=0.006)


@pytest.mark.parametrize(
    ("text", "tokens", "each"),
    [("570 GB", 142.5e9, 4), ("570GB at 3 bytes per token", 190e9, 3), ("1 TiB at 2 B/token", 2**39, 2),
     ("4 MB with 4 bytes a token", 1e6, 4), ("1,000 kB", 250e3, 4)],
)  # fmt: skip
def test_bytes_are_tokens_by_the_bytes_of_a_token_which_are_said(text: str, tokens: float, each: float) -> None:
    read, said = parse_tokens(text, "unique")
    assert read == pytest.approx(tokens)
    assert f"{each} bytes per token" in said
    assert ("as of English" in said) is ("token" not in text)


@pytest.mark.parametrize("text", ["140B", "1e12", 5e9])
def test_tokens_are_tokens(text: str | float) -> None:
    assert parse_tokens(text) == (parse_count(text), None)


@pytest.mark.parametrize("text", ["570 GB at 0 bytes per token", "0 GB", "GB", "5 bytes per token"])
def test_what_is_no_text_of_a_size_is_refused(text: str) -> None:
    with pytest.raises(ForetokenError):
        parse_tokens(text)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("680k hours of speech", 680e3 * 12_000),
        ("1,000 hours of speech", 12e6),
        ("1 hour of speech", 12_000),
        ("2.5e6 h of speech at 9000 tokens per hour", 22.5e9),
        ("1M hours of speech with 10k tokens an hour", 1e10),
    ],
)
def test_hours_of_speech_are_tokens(text: str, tokens: float) -> None:
    read, said = parse_tokens(text, "unique")
    assert read == pytest.approx(tokens)
    assert said is not None
    assert said.startswith("unique = ")
    assert ("at 150 words a minute" in said) == ("token" not in text)


@pytest.mark.parametrize(
    "text",
    [
        "0 hours of speech",
        "hours of speech",
        "3 hours of music",
        "-1 h of speech",
        "5 h of speech at 0 tokens per hour",
    ],
)
def test_what_is_no_speech_is_refused(text: str) -> None:
    with pytest.raises(ForetokenError):
        parse_tokens(text)
