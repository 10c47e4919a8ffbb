"""The package stays small: what is added has to replace something."""

from __future__ import annotations

import pytest

from tests.code_lines import code_lines, lines_by_room

MOST = 41_720


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("", 0, id="empty"),
        pytest.param('"""A docstring."""\n\n# a comment\n', 0, id="prose"),
        pytest.param('def f():\n    """Docstring."""\n    return 1  # why\n', 2, id="function"),
        pytest.param('x = """one\ntwo\nthree"""\n', 3, id="a string that is a value"),
    ],
)
def test_what_counts(source, expected):
    assert code_lines(source) == expected


def test_the_package_stays_small():
    lines = lines_by_room().total()
    assert lines <= MOST, (
        f"{lines:,} lines of code, at most {MOST:,}: merge what is said twice or delete what is dead"
        " (python tests/code_lines.py counts by room), or raise the limit and say why in the commit"
    )
