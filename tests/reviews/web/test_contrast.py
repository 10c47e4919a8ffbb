"""The palette of both themes against WCAG 2.2: text at least 4.5 to 1, edges that carry meaning at least 3 to 1."""

from __future__ import annotations

import re

import pytest

from tiktokactions.reviews.web.context import STATIC

TEXT, GRAPHICS = 4.5, 3.0
GROUNDS = ("--ground", "--panel", "--raised")
TEXTS = ("--text", "--muted", "--accent", "--accept", "--reject", "--unsure", "--skip")
PAIRS = [(text, ground, TEXT) for text in TEXTS for ground in GROUNDS]
PAIRS += [("--on-unsure", "--unsure", TEXT), ("--on-accent", "--accent-deep", TEXT)]
PAIRS += [("--accent", ground, GRAPHICS) for ground in (*GROUNDS, "--stage")]  # rings around what has the focus
PAIRS += [("--edge", ground, GRAPHICS) for ground in GROUNDS]  # of fields and chips
ON_VIDEOS = ["#eef2f6", "#d5dce4", "#6fe3ae"]
"""Texts on dark badges over pictures, the same in both themes."""


def palettes() -> dict[str, dict[str, str]]:
    css = (STATIC / "style.css").read_text(encoding="utf-8")
    dark, light = re.findall(r"^:root[^{]*\{(.*?)^\}", css, re.MULTILINE | re.DOTALL)
    colours = [dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6});", block)) for block in (dark, light)]
    return {"dark": colours[0], "light": colours[0] | colours[1]}


def contrast(one: str, other: str) -> float:
    """Of two colours ``#rrggbb``; see WCAG 2.2, 'contrast ratio' and 'relative luminance'."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#ffffff", "#000000", 21.0),
        ("#777777", "#777777", 1.0),
        ("#767676", "#ffffff", 4.54),
        ("#ff0000", "#ffffff", 4.0),
    ],
)
def test_the_ratio_itself(one, other, ratio):
    assert contrast(one, other) == pytest.approx(ratio, abs=0.005)
    assert contrast(other, one) == contrast(one, other)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_texts_can_be_read_and_edges_be_seen(theme):
    colours = palettes()[theme]
    low = {
        f"{one} on {other}": round(ratio, 2)
        for one, other, wanted in PAIRS
        if (ratio := contrast(colours[one], colours[other])) < wanted
    }
    assert not low


@pytest.mark.parametrize("colour", ON_VIDEOS)
def test_badges_on_a_white_video(colour):
    css = (STATIC / "style.css").read_text(encoding="utf-8")
    assert colour in css
    for share in (int(found) / 100 for found in re.findall(r"background: rgb\(8 10 14 / (\d+)%\)", css)):
        seen = "#" + "".join(f"{round(255 * (1 - share) + dark * share):02x}" for dark in (8, 10, 14))
        assert contrast(colour, seen) >= TEXT, share
