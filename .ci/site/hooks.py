"""What the repository's host shows beside ``docs/``: README and its neighbours become pages of the site, and every other file or folder
that a page links to is there as text. So one link is right in both places, and there is one README.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCS = "docs/"
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""File at the top of the repository -> page of the site."""
TEXTS = "repository/"
"""Where other files lie in the site."""

_LINK = re.compile(r"(?P<before>\]\(|^\[[^\]]+\]: )(?P<path>[^)\s#:]+)(?P<anchor>#[^)\s]*)?", re.M)
"""A link to a file beside: ``](path#anchor)``, or ``[label]: path``; with a colon it leads elsewhere."""


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages from the top of the repository, and what any page links to."""
    from mkdocs.structure.files import File

    for name, page in PAGES.items():
        files.append(File.generated(config, page, content=_read(ROOT / name)))
    linked = {
        path for file in files.documentation_pages() for path in linked_files(file.content_string, source(file.src_uri))
    }
    for folder in sorted(path for path in linked if (ROOT / path).is_dir()):
        files.append(File.generated(config, f"{TEXTS}{folder}.md", content=listing(folder)))
        linked |= {*contents(folder)}
    for path in sorted(path for path in linked if (ROOT / path).is_file()):
        files.append(File.generated(config, place(path), content=_read(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Links lead to where things are in the site; a pipe in code within a table needs no backslash here."""
    lines = (line.replace("\\|", "|") if line.startswith("|") else line for line in markdown.split("\n"))
    return converted("\n".join(lines), page.file.src_uri)


def converted(markdown: str, uri: str) -> str:
    """The page at this place of the site, with its links to files of the repository turned to their places in the site."""

    def turned(found: re.Match[str]) -> str:
        path = _resolved(found["path"], source(uri))
        if uri.startswith(TEXTS) or path is None:
            return found[0]
        target = posixpath.relpath(place(path), posixpath.dirname(uri) or ".")
        return f"{found['before']}{target}{found['anchor'] or ''}"

    return _LINK.sub(turned, markdown)


def linked_files(markdown: str, path: str) -> Iterator[str]:
    """Files and folders of the repository that a file links to and that are no pages."""
    for found in _LINK.finditer(markdown):
        target = _resolved(found["path"], path)
        if target is not None and target not in PAGES and not target.startswith(DOCS):
            yield target


def source(uri: str) -> str:
    """Where a page of the site comes from, from the top of the repository."""
    return next((name for name, page in PAGES.items() if page == uri), DOCS + uri)


def place(path: str) -> str:
    """Where a file or folder of the repository is in the site. Files as text: a browser shows it, whatever it is. A site has no place for
    names that begin with a dot.
    """
    if path in PAGES:
        return PAGES[path]
    if path.startswith(DOCS):
        return path.removeprefix(DOCS)
    plain = "/".join(part.removeprefix(".") for part in path.split("/"))
    return f"{TEXTS}{plain}.md" if (ROOT / path).is_dir() else f"{TEXTS}{plain}.txt"


def contents(folder: str) -> list[str]:
    """Files of a folder of the repository, in folders below too."""
    found = (file.relative_to(ROOT).as_posix() for file in (ROOT / folder).rglob("*") if file.is_file())
    return sorted(path for path in found if "__pycache__" not in path)


def listing(folder: str) -> str:
    """A page that links to them."""
    up = posixpath.dirname(TEXTS + folder)
    links = (
        f"- [{path.removeprefix(folder + '/')}]({posixpath.relpath(place(path), up)})" for path in contents(folder)
    )
    return f"# {folder}\n\n" + "\n".join(links) + "\n"


def _resolved(target: str, path: str) -> str | None:
    """From the top of the repository; None where nothing is."""
    found = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return found if not found.startswith("..") and (ROOT / found).exists() else None


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8")
