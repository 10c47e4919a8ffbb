"""What the documentation site takes from the root of the repository, how its links lead there, and its measured numbers."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # mkdocs loads this file by its path

PAGES = {
    "index.md": "README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
}


def on_files(files: Any, config: Any) -> Any:
    from mkdocs.structure.files import File

    for page, source in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    return with_site_links(with_numbers(markdown))


def with_numbers(text: str) -> str:
    """Marked numbers as the newest results have them, without the marks."""
    from benchmarks.numbers import MARKED, filled

    return MARKED.sub(lambda found: found["shown"], filled(text))


def with_site_links(text: str) -> str:
    """Links of the repository's files as links between the site's pages."""
    for page, source in PAGES.items():
        text = re.sub(rf"\]\((?:\.\./)?{re.escape(source)}(#[^)]*)?\)", rf"]({page}\1)", text)
    text = re.sub(r"\[([^\]]*)\]\([\w./-]+\.(?:py|toml|json)\)", r"\1", text)  # source code is not part of the site
    return re.sub(r"\]\((?:\.\./)?docs/", "](", text)
