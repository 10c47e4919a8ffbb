"""Lines of code of the package, without blank lines, comments and docstrings: ``python tests/code_lines.py [ROOM]``."""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections import Counter
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "tiktokactions"
NOT_CODE = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def code_lines(source: str) -> int:
    """Lines that hold at least one token that is neither a comment nor part of a docstring."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NOT_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        # A string that stands alone is a docstring, whether of a module, a class, a function or a field.
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def lines_by_room(package: Path = PACKAGE) -> Counter[str]:
    rooms: Counter[str] = Counter()
    for path in sorted(package.rglob("*.py")):
        rooms[path.relative_to(package).parts[0]] += code_lines(path.read_text(encoding="utf-8"))
    return rooms


if __name__ == "__main__":
    counted = lines_by_room()
    for room, lines in sorted(counted.items()):
        if not sys.argv[1:] or room in sys.argv[1:]:
            print(f"{lines:7,} {room}")
    print(f"{counted.total():7,} in all")
