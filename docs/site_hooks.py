"""What the documentation site takes from the root of the repository, and how its links lead there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "index.md": "README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "benchmarks.md": "benchmarks/README.md",
}


def on_files(files: Any, config: Any) -> Any:
    from mkdocs.structure.files import File

    for page, source in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=with_site_links(text)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    return with_site_links(markdown)


def with_site_links(text: str) -> str:
    """Links of the repository's files as links between the site's pages."""
    for page, source in PAGES.items():
        text = re.sub(rf"\]\((?:\.\./)?{re.escape(source)}(#[^)]*)?\)", rf"]({page}\1)", text)
    text = re.sub(r"\[([^\]]*)\]\([\w./-]+\.(?:py|toml|json)\)", r"\1", text)  # source code is not part of the site
    return re.sub(r"\]\((?:\.\./)?docs/", "](", text)
