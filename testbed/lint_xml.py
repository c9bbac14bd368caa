"""`testbed lint-xml`: pages against the limits of each phone model, with line numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from testbed import desk
from testbed.bounded_xml import XmlError, parse_xml
from testbed.browser.http import MAX_REDIRECTS, joined
from testbed.browser.limits import Finding, findings
from testbed.browser.model import DEFAULT_MODEL, MODELS, PhoneModel, model_named
from testbed.browser.read import MAX_PAGE_BYTES
from testbed.errors import BedError, UsageError


def lint_all(sources: Iterable[str], models: Sequence[PhoneModel]) -> tuple[list[dict[str, Any]], list[BedError]]:
    """Records of all that can be read, and what kept the others from it."""
    records: list[dict[str, Any]] = []
    unread: list[BedError] = []
    for source in sources:
        try:
            records += lint(source, models)
        except BedError as error:
            unread.append(error)
    return records, unread


def lint(source: str, models: Sequence[PhoneModel]) -> list[dict[str, Any]]:
    """Records of what is wrong: source, line, column, level, models it concerns, path, message.

    ``source``: a file or an http URL. Raises UsageError for a file that cannot be read and for what is no URL, FetchFailed for a
    URL without an answer.
    """
    if source.lower().startswith(("http://", "https://")):
        _check_url(source)
        content, doubts = _fetched(source)
    else:
        content, doubts = _file(source), []
    found: dict[Finding, list[str]] = {doubt: [model.name for model in models] for doubt in doubts}
    for model in models:
        for finding in _check(content, model):
            found.setdefault(finding, []).append(model.name)
    ordered = sorted(found.items(), key=lambda entry: (entry[0].line, entry[0].column))
    return [_record(source, finding, names) for finding, names in ordered]


def has_errors(records: Iterable[dict[str, Any]]) -> bool:
    """Whether any of them keeps a phone from showing the page."""
    return any(record["level"] == "error" for record in records)


def chosen_models(names: Sequence[str]) -> list[PhoneModel]:
    """By name; all for none. Raises UsageError."""
    return [model_named(name) for name in names] or list(MODELS.values())


def _check(content: bytes, model: PhoneModel) -> list[Finding]:
    if len(content) > MAX_PAGE_BYTES:
        return [_whole(f"{len(content)} bytes, a phone takes {MAX_PAGE_BYTES}")]
    try:
        root = parse_xml(content)
    except XmlError as error:
        line, column = _place(error.message)
        return [Finding(line=line, column=column, path="", message=error.message.partition(": ")[2] or error.message)]
    return findings(root, model)


def _place(text: str) -> tuple[int, int]:
    words = text.replace(",", " ").replace(":", " ").split()
    if len(words) > 3 and words[0] == "line" and words[2] == "column" and words[1].isdigit() and words[3].isdigit():
        return int(words[1]), int(words[3])
    return 1, 1


def _whole(message: str, *, is_warning: bool = False) -> Finding:
    return Finding(line=1, column=1, path="", message=message, is_warning=is_warning)


def _check_url(url: str) -> None:
    hint = "for example http://10.0.0.1:8080/menu.xml"
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise UsageError(f"{url} is no URL: {error}", hint=hint) from None
    if not parts.hostname:
        raise UsageError(f"{url} names no host", hint=hint)
    try:
        _ = parts.port
    except ValueError:
        raise UsageError(f"{url}: a port is a number up to 65535", hint=hint) from None


def _file(name: str) -> bytes:
    try:
        with Path(name).open("rb") as file:
            return file.read(MAX_PAGE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror}", hint="give a file, or a URL that starts with http://") from None


def _fetched(url: str) -> tuple[bytes, list[Finding]]:
    for _ in range(MAX_REDIRECTS + 1):
        answer = desk.fetch(url, DEFAULT_MODEL)
        location = answer.headers.get("location", "")
        if not (300 <= answer.status < 400 and location):
            break
        url = joined(url, location)
    else:
        return b"", [_whole(f"more than {MAX_REDIRECTS} redirects")]
    doubts = []
    if answer.status >= 400:
        doubts.append(_whole(f"HTTP {answer.status}: a phone shows HTTP Error [8]"))
    kind = answer.headers.get("content-type", "")
    if "xml" not in kind.lower():
        doubts.append(
            _whole(f"Content-Type is {kind[:60] or 'missing'}, not text/xml: a phone shows the source as text")
        )
    return answer.body, doubts


def _record(source: str, finding: Finding, names: list[str]) -> dict[str, Any]:
    return {
        "source": source,
        "line": finding.line,
        "column": finding.column,
        "level": "warning" if finding.is_warning else "error",
        "models": names,
        "path": finding.path,
        "message": finding.message,
    }
