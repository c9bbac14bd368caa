"""Links of the documentation, where the repository's host shows it and in the site that `make site` makes of it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TOP = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
PAGES = [*(ROOT / name for name in TOP), *sorted((ROOT / "docs").glob("*.md"))]
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.S | re.M)
LINK = re.compile(r"\]\((?P<inline>[^)\s]+)\)|^\[[^\]]+\]: (?P<reference>\S+)", re.M)


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    found = importlib.util.spec_from_file_location("site_hooks", ROOT / ".ci" / "site" / "hooks.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def anchors(page: Path) -> set[str]:
    """As the repository's host makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", CODE.sub("", page.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def lost(page: Path) -> list[str]:
    """Its links to files of the repository that lead nowhere."""
    text = CODE.sub("``", page.read_text(encoding="utf-8"))
    targets = [found["inline"] or found["reference"] for found in LINK.finditer(text)]
    return [target for target in targets if ":" not in target and not _leads(page, *target.partition("#")[::2])]


def _leads(page: Path, path: str, anchor: str) -> bool:
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_of_the_repository(page: Path) -> None:
    assert lost(page) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One place\n[a](no.md) [b](#one-place) [c](#two) `[d](no.md)`\n\n[e]: no.yaml\n[f]: https://x.test/no\n"
    )
    assert lost(page) == ["no.md", "#two", "no.yaml"]


def test_every_page_has_one_place_in_the_sites_navigation(hooks: ModuleType) -> None:
    config = yaml.safe_load((ROOT / ".ci" / "site" / "mkdocs.yml").read_text(encoding="utf-8"))
    entries = [value for entry in config["nav"] for value in entry.values()]
    named = [one for entry in entries for one in ([entry] if isinstance(entry, str) else [*map(_only, entry)])]
    assert sorted(named) == sorted(hooks.place(page.relative_to(ROOT).as_posix()) for page in PAGES)


def _only(entry: dict[str, str]) -> str:
    (value,) = entry.values()
    return value


def test_the_site_loads_nothing_from_elsewhere() -> None:
    config = yaml.safe_load((ROOT / ".ci" / "site" / "mkdocs.yml").read_text(encoding="utf-8"))
    assert config["theme"]["font"] is False
    assert not {"extra_css", "extra_javascript"} & set(config)
    assert config["plugins"] == ["search"]


@pytest.mark.parametrize(
    ("uri", "written", "turned"),
    [
        ("index.md", "[a](docs/audit.md)", "[a](audit.md)"),
        ("index.md", "[a](docs/scenarios.md#faults)", "[a](scenarios.md#faults)"),
        ("index.md", "[a](CONTRIBUTING.md)", "[a](contributing.md)"),
        ("scenarios.md", "[a](../README.md)", "[a](index.md)"),
        ("scenarios.md", "[a](audit.md)", "[a](audit.md)"),
        ("pytest.md", "[a](../compose/bed.yaml)", "[a](repository/compose/bed.yaml.txt)"),
        ("ci.md", "[a](../.ci/run)", "[a](repository/ci/run.txt)"),
        ("pytest.md", "[a](../examples)", "[a](repository/examples.md)"),
        ("page-matrix.md", "[a]: ../compose/bed.yaml\n[b]: c.md", "[a]: repository/compose/bed.yaml.txt\n[b]: c.md"),
        # Nothing of the repository: the site's own check of links says what is wrong with it.
        ("audit.md", "[a](nowhere.md)", "[a](nowhere.md)"),
        ("audit.md", "[a](../../outside)", "[a](../../outside)"),
        ("audit.md", "[a](https://x.test/docs) [b](#here)", "[a](https://x.test/docs) [b](#here)"),
    ],
)
def test_links_lead_to_where_files_are_in_the_site(hooks: ModuleType, uri: str, written: str, turned: str) -> None:
    assert hooks.converted(written, uri) == turned


def test_what_pages_link_to_is_in_the_site_as_text(hooks: ModuleType) -> None:
    written = "[a](../compose/bed.yaml) [b](audit.md) [c](../README.md) [d](../examples/suite) [e](no.md)"
    assert [*hooks.linked_files(written, "docs/pytest.md")] == ["compose/bed.yaml", "examples/suite"]
    assert "- [test_failover.py](suite/test_failover.py.txt)" in hooks.listing("examples/suite")
