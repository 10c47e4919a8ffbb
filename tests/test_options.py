"""One declaration of options: what is given is checked by name and by type, and the messages name the option."""

from __future__ import annotations

from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from tiktokactions.errors import UsageError
from tiktokactions.options import check_options, checked_options, option


@dataclass(frozen=True)
class Options:
    count: int = option(3, "some", "how many")
    share: float | None = option(None, "some", "how much")
    way: Literal["long", "short"] = option("long", "other", "which way")
    names: tuple[str, ...] = option((), "other", "names")
    fps: Fraction | None = option(None, "other", "frame rate")
    place: str | None = option(None, "other", "a folder")

    def __post_init__(self) -> None:
        check_options(self, [(self.count >= 1, "count", "1 or more")])


def test_fields_carry_their_section_and_help():
    assert {f.name: (f.metadata["group"], f.default) for f in fields(Options)} == {
        "count": ("some", 3),
        "share": ("some", None),
        "way": ("other", "long"),
        "names": ("other", ()),
        "fps": ("other", None),
        "place": ("other", None),
    }
    assert fields(Options)[0].metadata["help"] == "how many"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, Options(), id="nothing"),
        pytest.param({"count": 5, "way": "short"}, Options(count=5, way="short"), id="plain"),
        pytest.param({"count": np.int64(5)}, Options(count=5), id="a NumPy number"),
        pytest.param({"names": ["a", "b"]}, Options(names=("a", "b")), id="a list"),
        pytest.param({"fps": 25}, Options(fps=Fraction(25)), id="a number for a Fraction"),
        pytest.param({"fps": "30000/1001"}, Options(fps=Fraction(30000, 1001)), id="a string for a Fraction"),
        pytest.param({"place": Path("here")}, Options(place="here"), id="a Path"),
    ],
)
def test_what_may_be_given(given, expected):
    assert checked_options(Options, given) == expected


def test_a_whole_number_stays_one_where_a_fraction_is_possible():
    assert isinstance(checked_options(Options, {"share": 30}).share, int)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cuont": 1}, "unknown option cuont; expected some of count, fps, names, place, share, way"),
        ({"count": 0}, "`count`: got 0, expected 1 or more"),
        ({"count": "ten"}, "`count`: got 'ten': Expected 'int', got 'str'"),
        ({"count": True}, "`count`: got True: Expected 'int', got 'bool'"),
        ({"count": None}, "`count`: got None: Expected 'int', got 'null'"),
        ({"share": "x"}, "`share`: got 'x': Expected 'float | null', got 'str'"),
        ({"way": "round"}, "`way`: got 'round', expected one of long, short"),
        ({"names": "one"}, "`names`: got 'one': Expected 'array', got 'str'"),
        ({"fps": "fast"}, "`fps`: got 'fast': Invalid literal for Fraction: 'fast'"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_may_not(given, message):
    with pytest.raises(UsageError) as caught:
        checked_options(Options, given)
    assert str(caught.value) == message


@dataclass(frozen=True)
class Needing(Options):
    data: str = option("", "some", "data", required=True)


def test_what_must_be_given():
    with pytest.raises(UsageError, match="`data`: expected a value, it must be given"):
        checked_options(Needing, {"count": 4})
    assert checked_options(Needing, {"data": Path("d")}).data == "d"
