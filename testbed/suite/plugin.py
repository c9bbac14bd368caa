"""The pytest plugin: fixture ``bed``, marker ``bed_scenario``, scenario files as tests. Importing it touches neither Docker nor disk; a
suite that uses none of it is as it was.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from testbed.suite.bed_fixture import BedFixture
    from testbed.suite.beds import Beds
    from testbed.suite.scenario_item import ScenarioRun

SCENARIO_SUFFIX = ".scenario.yaml"
MARKER = "bed_scenario"
RUN = pytest.StashKey[Path]()
FAILED = pytest.StashKey[bool]()
VERDICTS = pytest.StashKey[list[Any]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("testbed", "IP telephony test-bed")
    group.addoption("--no-bed", action="store_true", help="skip tests that need a bed")
    group.addoption(
        "--bed-scope",
        choices=("session", "function"),
        default="session",
        help="one bed for all tests of a process (default), or a fresh one for each",
    )
    group.addoption("--bed-scenarios", action="store_true", help="collect *.scenario.yaml files as tests")
    group.addoption("--bed-runs", metavar="DIR", default="bed-runs", help="where recordings of failed tests are kept")
    group.addoption("--bed-keep", action="store_true", help="keep the recordings of tests that passed, too")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{MARKER}(name_or_file, profile=None, phones=None): perform this scenario on a bed of its own; "
        "the fixture bed_run has its verdicts",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if not parent.config.getoption("bed_scenarios") or not file_path.name.endswith(SCENARIO_SUFFIX):
        return None
    from testbed.suite.scenario_item import ScenarioFile

    collector: pytest.Collector = ScenarioFile.from_parent(parent, path=file_path)
    return collector


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Any:
    """A marker that names nothing is an error where its test is collected, as a misspelt marker itself is, and not only once it runs."""
    report = yield
    marked = [item for item in report.result or () if any(item.iter_markers(MARKER))] if report.passed else []
    if marked:
        from testbed.suite.marker import problems

        if said := problems(marked):
            report.outcome, report.result, report.longrepr = "failed", [], "\n".join(said)
    return report


@pytest.fixture(scope="session")
def bed_compose_files() -> tuple[str, ...]:
    """Compose files of the bed, by path or by the name of one that ships; later ones overlay earlier ones. Override it."""
    return ("bed.yaml",)


@pytest.fixture(scope="session")
def bed_profile() -> str:
    """Timer profile: ``quick`` or ``srnd``. Override it."""
    return "quick"


@pytest.fixture(scope="session")
def bed_phones() -> int:
    """How many phones. Override it."""
    return 12


@pytest.fixture(scope="session")
def bed_capture() -> tuple[str, ...] | None:
    """Hosts at which packets are captured; None: phones, call controls, SLBs and web hosts. Override it."""
    return None


@pytest.fixture(scope="session")
def _beds(
    request: pytest.FixtureRequest,
    bed_compose_files: tuple[str, ...],
    bed_profile: str,
    bed_phones: int,
    bed_capture: tuple[str, ...] | None,
) -> Iterator[Beds]:
    from testbed import show
    from testbed.suite.beds import Beds

    config = request.config
    beds = Beds(
        files=tuple(_from_root(config, word) for word in bed_compose_files),
        profile=bed_profile,
        phones=bed_phones,
        capture=bed_capture,
        worker=getattr(config, "workerinput", {}).get("workerid", "main"),
        lasting=config.getoption("bed_scope") == "session",
        say=show.say,
    )
    yield beds
    beds.close()


@pytest.fixture
def bed(request: pytest.FixtureRequest) -> Iterator[BedFixture]:
    """A bed whose phones are all registered, recorded for this test alone."""
    _skip_unwanted(request.config)
    beds: Beds = request.getfixturevalue("_beds")
    folder = _folder(request)
    with beds.recorded(folder, request.node.name) as fixture:
        request.node.stash[VERDICTS] = fixture.verdicts
        yield fixture
        _note(request.node, folder, [*fixture.verdicts])


@pytest.fixture
def bed_run(request: pytest.FixtureRequest) -> ScenarioRun:
    """What came of the scenario that the test's marker ``bed_scenario`` names: ``verdicts``, ``passed``, ``folder``."""
    _skip_unwanted(request.config)
    from testbed.errors import BedError
    from testbed.suite.scenario_item import perform

    marker = request.node.get_closest_marker(MARKER)
    if marker is None or len(marker.args) != 1:
        raise pytest.UsageError(f"bed_run needs @pytest.mark.{MARKER}('NAME or FILE') at the test")
    try:
        run = perform(marker.args[0], runs=_runs(request.config), beside=request.node.path.parent, **marker.kwargs)
    except BedError as error:
        pytest.fail("\n".join([str(error), *getattr(error, "__notes__", ())]), pytrace=False)
    request.node.stash[VERDICTS] = run.verdicts
    _note(request.node, run.folder, run.verdicts)
    return run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    if RUN in item.stash and report.failed:
        said = [_where_it_is(item.stash[RUN])]
        said += [str(verdict) for verdict in item.stash.get(VERDICTS, [])]
        report.sections.append(("test-bed", "\n".join(said)))
    return report


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """The recording of a test that passed goes, unless it is asked for; one that stays gets its report."""
    if RUN not in item.stash:
        return
    if item.stash.get(FAILED, False) or item.config.getoption("bed_keep"):
        _report_on(item.stash[RUN])
        item.user_properties.append(("bed_run", str(item.stash[RUN])))
    else:
        shutil.rmtree(item.stash[RUN], ignore_errors=True)


def _where_it_is(folder: Path) -> str:
    if not (folder / "scenario.yaml").is_file():
        return f"no bed came up; what happened until then is in {folder}"
    again = "; `testbed judge` of it judges again" if (folder / "verdicts.json").is_file() else ""
    return f"recorded in {folder}, with report.html{again}"


def _report_on(folder: Path) -> None:
    """Of a bed that never came up there is nothing to report."""
    from testbed.errors import BedError
    from testbed.report.keep import write_report

    with suppress(BedError):
        write_report(folder, None)


def _from_root(config: pytest.Config, word: str) -> str:
    """A path is relative to pytest's root folder, wherever it was started."""
    from testbed.document import is_file

    file = config.rootpath / word
    return str(file) if is_file(file) else word


def _skip_unwanted(config: pytest.Config) -> None:
    if config.getoption("no_bed"):
        pytest.skip("no bed is wanted (--no-bed)")


def _runs(config: pytest.Config) -> Path:
    return config.invocation_params.dir / str(config.getoption("bed_runs"))


def _folder(request: pytest.FixtureRequest) -> Path:
    """A new folder for the test, named after it."""
    from testbed.suite.beds import new_folder

    folder = new_folder(_runs(request.config), request.node.name)
    request.node.stash[RUN] = folder
    return folder


def _note(node: pytest.Item, folder: Path, verdicts: list[Any]) -> None:
    """In the JUnit report, and for whoever reads this one."""
    node.stash[RUN] = folder
    for verdict in verdicts:
        node.user_properties.append((f"verdict {verdict.check}", f"{verdict.status.name}: {verdict.summary}"))
