"""Plug-ins as installed packages: the example, broken ones, and ones whose words are taken."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import plain_stories
import pytest
from probe_wire import Links, Prober, witness
from recordings import bed
from stories import BEGAN_S, HEALING_S

from testbed import plugins
from testbed.checks import KINDS as CHECKS
from testbed.checks import judge_expectation
from testbed.checks.effects import PROOFS, effects
from testbed.faults import KINDS as FAULTS
from testbed.faults import fault_of
from testbed.faults.base import InNic
from testbed.packets import ACK, SYN
from testbed.scenario import load_scenario
from testbed.scenario_model import registered_model
from testbed.verdict import Status

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin"
Install = Callable[..., None]


def installed(site: Path, name: str, version: str, points: dict[str, dict[str, str]], **modules: str) -> None:
    """What an installer leaves: a dist-info folder with the entry points, and modules beside it."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    sections = [
        f"[{group}]\n" + "".join(f"{word} = {what}\n" for word, what in own.items()) for group, own in points.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(sections))
    for module, text in modules.items():
        (site / f"{module}.py").write_text(text)


def forget() -> None:
    FAULTS.forget()
    PROOFS.forget()
    CHECKS.forget()
    registered_model.cache_clear()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs into a folder that is on the path for this test."""
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(str(site))
    before = set(sys.modules)

    def install(*arguments: object, **modules: str) -> None:
        installed(site, *arguments, **modules)  # type: ignore[arg-type]
        forget()

    yield install
    monkeypatch.undo()
    for module in set(sys.modules) - before:
        del sys.modules[module]
    forget()


@pytest.fixture
def example(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    monkeypatch.syspath_prepend(str(EXAMPLE))
    install(project["name"], project["version"], project["entry-points"])


def test_the_example_adds_a_fault_its_proof_and_a_check_beside_ours(example: None):
    assert "no-new" in FAULTS
    assert "handshakes" in CHECKS
    assert "no-new" in PROOFS
    assert plugins.problems() == []
    origins = FAULTS.origin("no-new"), PROOFS.origin("no-new"), CHECKS.origin("handshakes")
    assert origins == ("testbed-handshake 0.1.0",) * 3
    assert (FAULTS.origin("cut"), CHECKS.origin("http")) == ("testbed", "testbed")
    assert list(FAULTS)[:3] == ["stop", "kill", "freeze"]


def test_a_scenario_knows_the_words_of_the_example(example: None, tmp_path: Path):
    file = tmp_path / "x.scenario.yaml"
    file.write_text(
        "scenario: x\ncapture: [slb]\nsteps:\n  - inject: {no-new: tcp/80 at phones->slb}\n"
        "expect:\n  - handshakes: {hop: phones->slb, within: 50ms}\n"
    )
    scenario = load_scenario(file).scenario
    assert scenario.steps[0].inject is not None
    assert str(scenario.steps[0].inject.fault) == "no-new tcp/80 at phones->slb"
    assert scenario.expect[0].kind == "handshakes"


def test_the_example_drops_the_first_packet_of_new_connections_and_no_other(example: None):
    [act] = fault_of("no-new", "tcp/80 at phones->slb").plan(bed(), "no-new-1").acts
    assert isinstance(act, InNic)
    rules = [line.strip() for line in act.do[0].input.splitlines() if "counter" in line]
    assert rules[0] == (
        "ip saddr { 172.26.2.1/32, 172.26.16.0/21 } ip protocol tcp tcp dport 80 tcp flags & (syn | ack) == syn counter drop"
    )
    assert "table netdev testbed_no_new_1 {" in act.do[0].input


@pytest.mark.parametrize(
    ("lost", "doubt"),
    [
        (lambda at_s, syn: syn and BEGAN_S < at_s < HEALING_S, ""),
        (lambda at_s, syn: False, "were spared while it lasted"),
        (lambda at_s, syn: syn and at_s > BEGAN_S, "it goes on after its healing"),
        (lambda at_s, syn: BEGAN_S < at_s < HEALING_S, "of established connections were lost as well"),
    ],
    ids=["happened", "no-op", "broken revert", "too much"],
)
def test_the_example_proves_its_fault_by_what_the_kernel_got(
    lost: Callable[[float, bool], bool], doubt: str, example: None, tmp_path: Path
):
    fault = fault_of("no-new", "tcp/8000 at shop-1")
    project = plain_stories.Project()
    project.recording.fault(fault.kind, fault.at, BEGAN_S, HEALING_S, hosts=("shop-1",))
    for at_s in plain_stories.moments(2.5, 12.5):
        project.ask(at_s, "client", "shop-1")
    Prober(project.recording, Links()).run([fault], 1.5, 13.5)
    own = plain_stories.ADDRESSES["shop-1"]
    witness(project.recording, "shop-1", own, lambda at_s, ip: lost(at_s, ip[33] & (SYN | ACK) == SYN))
    [effect] = effects(project.recording.write(tmp_path))
    assert effect.proved is (not doubt), effect.doubts
    assert doubt in "; ".join(effect.doubts)


@pytest.mark.parametrize(("lost", "status"), [(False, Status.PASS), (True, Status.FAIL)])
def test_the_example_finds_a_connection_that_was_not_made(lost: bool, status: Status, example: None, tmp_path: Path):
    project = plain_stories.shop()
    if lost:
        project.knock(5.0, "client", "slb")
    params = CHECKS["handshakes"].params.model_validate({"hop": "client->slb"})
    verdict = judge_expectation(project.recording.write(tmp_path), "handshakes", params)
    assert verdict.status is status, verdict.summary


FAULT = """
from typing import ClassVar
from testbed.faults.base import Fault, Plan
class Gremlin(Fault):
    kind: ClassVar[str] = "{kind}"
    help: ClassVar[str] = "something goes wrong"
    example: ClassVar[str] = "{{gremlin: ccm-1}}"
    family: ClassVar[str] = "{family}"
    def plan(self, topology, fault_id):
        return Plan(acts=())
"""
GREMLIN = FAULT.format(kind="gremlin", family="host")
BROKEN = {
    "its module is not there": ("gremlin", {}, "ModuleNotFoundError"),
    "its module raises": ("gremlin", {"broken": "1/0"}, "ZeroDivisionError"),
    "its module ends the program": ("gremlin", {"broken": "raise SystemExit(3)"}, "SystemExit"),
    "its module has a slip of the pen": ("gremlin", {"broken": "def"}, "SyntaxError"),
    "it is not in its module": ("gremlin", {"broken": "x = 1"}, "AttributeError"),
    "it is no fault": ("gremlin", {"broken": "Gremlin = 7"}, "is no class derived from"),
    "it has no plan": ("gremlin", {"broken": GREMLIN.split("    def plan")[0]}, "has no plan"),
    "it lacks an example": ("gremlin", {"broken": GREMLIN.replace("example: ", "other: ")}, "has no example"),
    "it calls itself something else": (
        "gremlin",
        {"broken": FAULT.format(kind="imp", family="host")},
        "calls itself 'imp'",
    ),
    "its family is not known": ("gremlin", {"broken": FAULT.format(kind="gremlin", family="magic")}, "no known family"),
    "its word is ours": (
        "cut",
        {"broken": FAULT.format(kind="cut", family="host")},
        "is a word of the test-bed itself",
    ),
    "its word is none": ("Grem lin", {"broken": GREMLIN}, "is no word"),
}


@pytest.mark.parametrize(("word", "modules", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plug_in_is_named_and_costs_nothing_but_its_own_word(
    word: str, modules: dict[str, str], message: str, install: Install
):
    ours = [name for name in FAULTS if FAULTS.origin(name) == "testbed"]
    install("gremlins", "2.1", {"testbed.faults": {word: "broken:Gremlin"}}, **modules)
    assert list(FAULTS) == ours
    assert FAULTS.origin("cut") == "testbed"
    [problem] = plugins.problems()
    assert problem.startswith(f"gremlins 2.1: testbed.faults '{word}' (broken:Gremlin) ")
    assert message in problem


def test_of_two_plug_ins_with_one_word_the_first_by_name_has_it_and_the_other_is_named(install: Install):
    for name in ("zebra", "aardvark"):
        install(name, "1", {"testbed.faults": {"gremlin": f"{name}_faults:Gremlin"}}, **{f"{name}_faults": GREMLIN})
    assert FAULTS.origin("gremlin") == "aardvark 1"
    assert plugins.problems() == [
        "zebra 1: testbed.faults 'gremlin' (zebra_faults:Gremlin) is a word of aardvark 1 already"
    ]


CHECK = """
from testbed.checks.base import CheckKind, Params
from testbed.verdict import Status, Verdict
def judge(run, params):
    return {result}
MOOD = CheckKind(name="{name}", params={params}, judge=judge, help="how it feels")
"""


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("MOOD = 3", "is no testbed.checks.base.CheckKind"),
        (CHECK.format(name="moody", params="Params", result="None"), "calls itself 'moody'"),
        (CHECK.format(name="mood", params="dict", result="None"), "not derived from"),
    ],
)
def test_a_check_that_is_none_is_named(module: str, message: str, install: Install):
    install("moods", "1", {"testbed.checks": {"mood": "moods:MOOD"}}, moods=module)
    assert "mood" not in CHECKS
    assert message in plugins.problems()[0]


@pytest.mark.parametrize("result", ["1 / 0", "run.nothing_of_the_kind", "{}['x']"])
def test_a_check_that_breaks_shows_nothing_and_costs_no_other_verdict(result: str, install: Install, tmp_path: Path):
    module = CHECK.format(name="mood", params="Params", result=result)
    install("moods", "1", {"testbed.checks": {"mood": "moods:MOOD"}}, moods=module)
    run = plain_stories.shop().recording.write(tmp_path)
    verdict = judge_expectation(run, "mood", CHECKS["mood"].params())
    assert verdict.status is Status.INCONCLUSIVE
    assert verdict.summary.startswith("the check of moods 1 broke: ")


def test_the_command_line_lists_where_a_kind_comes_from_and_warns_of_what_is_broken(install: Install, tmp_path: Path):
    install("gremlins", "2.1", {"testbed.faults": {"gremlin": "gremlins:Gremlin"}}, gremlins=GREMLIN)
    install("imps", "0.3", {"testbed.faults": {"imp": "imps:Imp"}}, imps="raise RuntimeError('no luck')")
    environment = {"PYTHONPATH": str(tmp_path / "site"), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}

    def testbed(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "testbed", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    kinds = testbed("fault", "kinds", "--output", "jsonl")
    assert kinds.returncode == 0, kinds.stderr
    assert '"kind": "gremlin"' in kinds.stdout
    assert '"from": "gremlins 2.1"' in kinds.stdout
    assert '"from": "testbed"' in kinds.stdout
    warning = "warning: imps 0.3: testbed.faults 'imp' (imps:Imp) cannot be loaded: RuntimeError: no luck"
    assert kinds.stderr.strip() == warning
    file = tmp_path / "x.scenario.yaml"
    file.write_text("scenario: x\nsteps:\n  - inject: {imp: ccm-1}\n")
    validated = testbed("validate", str(file))
    assert validated.returncode == 2
    assert "unknown word 'imp'" in validated.stderr
    assert warning in validated.stderr
    assert testbed("validate", "rehome-kill").returncode == 0
    assert testbed("--version").stderr == ""


def test_a_plug_in_may_import_whatever_it_builds_on_and_be_imported_first(install: Install, tmp_path: Path):
    module = "from testbed.faults import fault_of, KINDS\nfrom testbed.checks import judge_expectation\n" + GREMLIN
    install("gremlins", "2.1", {"testbed.faults": {"gremlin": "gremlins:Gremlin"}}, gremlins=module)
    program = "import gremlins; from testbed.faults import KINDS; assert KINDS['gremlin'] is gremlins.Gremlin"
    environment = {"PYTHONPATH": str(tmp_path / "site"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
