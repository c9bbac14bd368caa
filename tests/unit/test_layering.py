"""Which module may import what. Pure modules know no socket, no Docker and no clock; what runs in containers carries little."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "testbed"

IN_CONTAINERS = {
    "__init__",
    "errors",
    "dscp",
    "profile",
    "history",
    "tftp",
    "sep_file",
    "phone_xml",
    "bounded_xml",
    "probe",
    "rtp",
}
PURE = IN_CONTAINERS | {
    "address_block",
    "compose_file",
    "document",
    "duration",
    "page",
    "plugins",
    "policy",
    "recording",
    "scenario",
    "scenario_model",
    "schedule",
    "random_schedule",
    "shrinking",
    "clashes",
    "topology",
    "verdict",
    "written",
    "judge",
}
PURE_PACKAGES = {"sccp", "browser", "packets", "faults", "checks", "audit", "report"}
PRINTING = {("audit", "command"), ("audit", "follow"), ("report", "command")}
"""Within a pure package, what prints its results."""
IMPURE_STANDARD = {
    "socket",
    "asyncio",
    "subprocess",
    "threading",
    "select",
    "selectors",
    "signal",
    "http",
    "urllib.request",
}
DATA_LIBRARIES = {"pydantic", "pydantic_core", "yaml", "numpy"}


def modules() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py") if "_shipped" not in path.parts)


def imports(path: Path) -> set[str]:
    """Dotted names of all modules imported anywhere in the file, those of type checking included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def name_of(path: Path) -> tuple[str, str]:
    """(package below testbed or "", module)."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return (parts[0] if len(parts) > 1 else "", parts[-1])


def is_pure(path: Path) -> bool:
    package, module = name_of(path)
    if (package, module) in PRINTING:
        return False
    return package in PURE_PACKAGES or (not package and (module in PURE or module.startswith("packets")))


def top(name: str) -> str:
    return name.split(".")[0]


@pytest.mark.parametrize("path", [p for p in modules() if is_pure(p)], ids=lambda p: str(p.relative_to(ROOT)))
def test_a_pure_module_touches_no_socket_no_clock_and_no_docker(path: Path):
    names = imports(path)
    assert not names & IMPURE_STANDARD
    source = path.read_text(encoding="utf-8")
    assert not [clock for clock in ("time.time(", "time.monotonic(", "datetime.now(", "time.sleep(") if clock in source]
    outside = {top(name) for name in names} - set(sys.stdlib_module_names) - {"testbed"} - DATA_LIBRARIES
    assert not outside
    assert not {name for name in names if name.startswith(("testbed.engine", "testbed.roles", "testbed.bed"))}


def test_docker_is_imported_in_the_engine_alone():
    guilty = {
        str(p.relative_to(ROOT))
        for p in modules()
        if "docker" in {top(n) for n in imports(p)} and name_of(p)[0] != "engine"
    }
    assert not guilty


@pytest.mark.parametrize(
    "path",
    [
        p
        for p in modules()
        if name_of(p)[0] in ("roles", "sccp", "browser") or name_of(p) in {("", m) for m in IN_CONTAINERS}
    ],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_what_runs_in_containers_imports_the_standard_library_and_what_the_images_have_only(path: Path):
    names = imports(path)
    in_images = {"aiohttp", "yarl", "uvloop", "netfilterqueue"}
    assert {top(name) for name in names} <= set(sys.stdlib_module_names) | {"testbed"} | in_images
    own = {name.split(".")[1] for name in names if name.startswith("testbed.")}
    assert own <= IN_CONTAINERS | {"roles", "sccp", "browser"}


def test_what_observes_and_judges_knows_nothing_of_the_report():
    """A report is drawn from verdicts; a verdict that needed a drawing would be the wrong way round."""
    judging = {"packets", "checks", "faults", "sccp", "audit"}
    guilty = {
        str(path.relative_to(ROOT))
        for path in modules()
        if (name_of(path)[0] in judging or name_of(path) in {("", module) for module in PURE})
        and {name for name in imports(path) if name.startswith("testbed.report")}
    }
    assert not guilty


def test_only_waiting_and_roles_sleep():
    guilty = {
        str(path.relative_to(ROOT))
        for path in modules()
        if "time.sleep(" in path.read_text(encoding="utf-8")
        and name_of(path)[0] != "roles"
        and name_of(path)[1] != "waiting"
    }
    assert not guilty


def test_no_two_test_files_have_one_name():
    """Test folders are no packages: pytest imports a file by its name alone, and refuses a second of that name."""
    tests = Path(__file__).parents[1]
    names = [path.name for path in tests.rglob("*.py") if path.name != "conftest.py"]
    assert sorted(names) == sorted(set(names))
