"""Colours of the pages: readable on their paper, and to be told apart, on light and on dark."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from matplotlib.colors import to_rgb

from foretoken.reports.html import _asset
from foretoken.reports.palette import DARK_RANGE, LIGHT_RANGE, budget_styles, ranked
from foretoken.reports.svg import ROLES

SHEET = _asset("page.css")
DARK_AT = SHEET.index("prefers-color-scheme: dark")


def colours_of(text: str) -> dict[str, str]:
    """The hex colours that a block of CSS sets, by variable."""
    return dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})", text))


LIGHT = colours_of(SHEET[:DARK_AT])
DARK = colours_of(SHEET[DARK_AT : SHEET.index("box-sizing")])
SCHEMES = {"light": LIGHT, "dark": DARK}


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2): sRGB undone, then weighted by how bright the eye finds red, green and blue."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(first: str, second: str) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_the_contrast_of_black_on_white_is_21():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#777777") == 1


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["ink", "muted", "accent", "good", "bad"])
def test_text_is_readable_on_its_paper(scheme, name):
    colours = SCHEMES[scheme]
    assert contrast(colours[name], colours["paper"]) >= 4.5


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("ground", ["shade", "band"])
@pytest.mark.parametrize("name", ["ink", "muted", "accent"])
def test_labels_are_readable_on_the_shades_of_a_figure(scheme, ground, name):
    colours = SCHEMES[scheme]
    assert contrast(colours[name], colours[ground]) >= 4.0


@pytest.mark.parametrize("scheme", SCHEMES)
def test_both_bands_stand_out_from_paper_and_from_each_other(scheme):
    colours = SCHEMES[scheme]
    paper, shade, band, deep = (luminance(colours[name]) for name in ("paper", "shade", "band", "band-deep"))
    steps = [paper, shade, band, deep]
    assert steps == sorted(steps, reverse=scheme == "light")
    assert contrast(colours["band-deep"], colours["paper"]) > 1.4


def test_both_schemes_define_the_same_colours_and_all_that_figures_draw_with():
    assert set(LIGHT) == set(DARK)
    assert set(ROLES) <= set(LIGHT)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("many", [2, 4, 8])
def test_the_colours_of_budgets_stand_out_and_each_step_is_seen(scheme, many):
    styles = budget_styles(ranked((str(k), 1e18 * 3.0**k) for k in range(many)))
    light, dark = styles.split("@media screen")
    tints = list(colours_of(light if scheme == "light" else dark).values())
    assert len(tints) == len(set(tints)) == many
    assert all(contrast(tint, SCHEMES[scheme]["paper"]) >= 2.0 for tint in tints)
    brightness = [luminance(tint) for tint in tints]
    assert brightness == sorted(brightness)
    assert all(contrast(first, second) > 1.1 for first, second in pairwise(tints))


def test_the_parts_of_the_map_leave_out_what_its_paper_would_swallow():
    assert LIGHT_RANGE[1] < 1 < DARK_RANGE[1] + 1
    assert LIGHT_RANGE[0] < DARK_RANGE[0]


def test_equal_factors_of_compute_are_equal_steps_of_colour_wherever_they_lie():
    first = budget_styles(ranked([("a", 1e18), ("b", 1e19), ("c", 1e20)]))
    assert budget_styles(ranked([("a", 1e22), ("b", 1e23), ("c", 1e24)])) == first
    assert budget_styles(ranked([("a", 1e18), ("b", 9e19), ("c", 1e20)])) != first


@pytest.mark.parametrize("rule", ["@media print", "@media screen and (max-width: 40rem)", ":focus-visible"])
def test_print_phones_and_keyboards_are_thought_of(rule):
    assert rule in SHEET


def test_nothing_is_loaded_by_the_style_sheet():
    assert not re.search(r"url\(|@import|@font-face|https?:", SHEET)
