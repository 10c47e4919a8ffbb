"""What all figures share."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib
import pytest

from tiktokactions import plots


@pytest.mark.parametrize(
    ("text", "length", "shown"),
    [
        ("", None, ""),
        ("танцы", None, "танцы"),
        ("a\nb\x00c\x1b", None, "a\ufffdb\ufffdc\ufffd"),
        ("a\u2028b", None, "a\ufffdb"),
        ("abc\u202edef", None, "abcdef"),
        ("\ud800", None, "\ufffd"),
        ("👩\u200d🎤", None, "👩\u200d🎤"),
        ("12345", 5, "12345"),
        ("123456", 5, "1234…"),
    ],
)
def test_printable(text: str, length: int | None, shown: str) -> None:
    assert plots.printable(text, length) == shown


def test_style_holds_inside_only() -> None:
    matplotlib.rcParams["font.size"] = 33
    try:
        with plots.style():
            assert matplotlib.rcParams["font.size"] == 10
            assert matplotlib.rcParams["svg.fonttype"] == "none"
        assert matplotlib.rcParams["font.size"] == 33
    finally:
        matplotlib.rcdefaults()


def draw(stem: Path, text: str) -> list[Path]:
    with plots.style():
        figure = plots.new_figure(4, 2)
        axes = figure.add_subplot()
        plots.horizontal_bars(axes, [text, "b"], [2, 1], ["2", "1"], plots.ACCEPTED)
        plots.title(axes, text, "below")
        return plots.save_figure(figure, stem)


def test_saves_both_formats_with_the_same_bytes_every_time(tmp_path: Path) -> None:
    first = draw(tmp_path / "one" / "bars", "танцы")
    again = draw(tmp_path / "two" / "bars", "танцы")
    assert [path.name for path in first] == ["bars.svg", "bars.png"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    assert first[1].read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["bars.png", "bars.svg"]


@pytest.mark.parametrize(
    "text",
    ["$5_$6", r"\alpha$x$", "手拍", "رقص", "नृत्य", "🤸‍♀️", "<b>&amp;", "line\nbreak\x01"],
    ids=["dollar", "tex", "cjk", "arabic", "devanagari", "emoji", "xml", "control"],
)
def test_any_label_is_drawn_as_it_is_and_without_warnings(tmp_path: Path, text: str) -> None:
    svg, _ = draw(tmp_path / "bars", text)
    shown = [element.text for element in ElementTree.parse(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert plots.printable(text) in shown
