"""``publisher.toml``: who publishes a dataset, under which terms, and whom to write to. Cards read it."""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict, dataclass, fields, replace

from tiktokactions.errors import UsageError
from tiktokactions.files import Place, write_listed

PUBLISHER = "publisher.toml"
_HEAD = (
    "# Who publishes this dataset. Cards and releases copy it; no command overwrites it unless you give the option.\n"
)
_ASKED = {
    "name": "Who publishes it, a person or an institution?",
    "licence": 'Under which licence (an SPDX name like "CC-BY-4.0", or your own words)?',
    "contact": "Whom may people in the videos write to (an address)?",
    "citation": "How should it be cited (may stay empty)?",
    "terms": "What must people agree to before they see a gated release (empty: the usual terms)?",
    "asked": "What must they tell of themselves, separated by commas?",
}


@dataclass(frozen=True)
class Publisher:
    """The facts about a publisher; empty where nobody has said them."""

    name: str = ""
    licence: str = ""
    contact: str = ""
    citation: str = ""
    terms: str = ""
    """What people agree to before they see a gated release."""
    asked: str = "Name, Affiliation"
    """What they tell of themselves then, separated by commas."""

    @property
    def missing(self) -> list[str]:
        """What has to be said before a release."""
        return [name for name in ("name", "licence", "contact") if not getattr(self, name).strip()]

    def question(self, name: str) -> str:
        return _ASKED[name]


def read_publisher(dataset: Place) -> Publisher:
    """The facts that are known; all empty where there is no file.

    Raises:
        UsageError: not TOML, or a value that is no text.
    """
    path = dataset / PUBLISHER
    if not path.is_file():
        return Publisher()
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not TOML ({error}); correct it, or delete it to be asked again") from None
    names = [field.name for field in fields(Publisher)]
    for name, value in said.items():
        if name not in names or not isinstance(value, str):
            raise UsageError(f"{path}: {name}: expected only {', '.join(names)}, each a text in quotes")
    return Publisher(**said)


def keep_publisher(dataset: Place, said: dict[str, str]) -> Publisher:
    """What is known with what was said now, written down where it is new."""
    before = read_publisher(dataset)
    publisher = replace(before, **said)
    if publisher != before or not (dataset / PUBLISHER).is_file():
        lines = (
            f"# {_ASKED[name]}\n{name} = {json.dumps(value, ensure_ascii=False)}\n"
            for name, value in asdict(publisher).items()
        )
        write_listed(dataset, PUBLISHER, (_HEAD + "".join(lines)).encode())
    return publisher
