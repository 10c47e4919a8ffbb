"""Messages of the rooms in the words of the command line."""

from __future__ import annotations

import re

_OPTION = re.compile(r"(?<![\w/.`-])`([a-z][a-z0-9]*(?:_[a-z0-9]+)*)`(?![\w/`-])")
"""A Python name alone between backticks: how the rooms mark an option in a sentence."""
_OTHERWISE = {"entitled": "--i-am-entitled", "output": "-o", "curate_into": "--curate"}
"""Options that the command line calls by another name."""


def with_dashes(text: str) -> str:
    """``text`` with every `` `option_name` `` as it is typed: ``--option-name``."""
    return _OPTION.sub(lambda found: _OTHERWISE.get(found[1], "--" + found[1].replace("_", "-")), text)
