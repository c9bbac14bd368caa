"""Scenario files: what ships loads, round-trips and fits the shipped bed; what is wrong is named where it is wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from testbed.document import parse_document, validated
from testbed.errors import EXIT_USAGE, BedError, ScenarioError, UsageError
from testbed.faults import KINDS as FAULTS
from testbed.faults.link import LinkReject
from testbed.overlay import merged_services
from testbed.profile import PROFILES
from testbed.scenario import (
    SUITE,
    LoadedScenario,
    Scenario,
    builtin_scenarios,
    check_against,
    compose_files,
    dump_scenario,
    load_scenario,
    shipped_beds,
)
from testbed.scenario_model import ProfileName, registered_model
from testbed.topology import Topology, topology_of

HEAD = "scenario: mine\n"
KILL = HEAD + "steps:\n  - {inject: {kill: a}, "


def scenario_of(text: str) -> Scenario:
    return validated(parse_document(text.encode(), file="x.yaml"), registered_model())


def saved(folder: Path, text: str) -> Path:
    path = folder / "mine.scenario.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def shipped_topology(bed: tuple[str, ...], phones: int = 12) -> Topology:
    """The shipped compose files, merged as far as hosts go."""
    texts = [(shipped_beds() / name).read_text(encoding="utf-8") for name in bed]
    services = merged_services(yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)) for text in texts)
    active = {name: service for name, service in services.items() if not service.get("profiles")}
    return topology_of({"services": active}, bed="x", prefix="172.26.0.0/16", profile="quick", phones=phones)


def refused(text: str, **arguments: Any) -> ScenarioError:
    with pytest.raises(ScenarioError) as caught:
        scenario_of(text, **arguments)
    assert caught.value.exit_code == EXIT_USAGE
    return caught.value


def test_the_built_in_scenarios_are_the_suite_in_its_order() -> None:
    assert tuple(builtin_scenarios()) == SUITE


@pytest.mark.parametrize("name", SUITE)
def test_a_built_in_scenario_loads_and_round_trips(name: str, tmp_path: Path) -> None:
    scenario = load_scenario(name).scenario
    assert scenario.scenario == name
    assert scenario.description
    assert scenario.steps
    assert load_scenario(saved(tmp_path, dump_scenario(scenario))).scenario == scenario


@pytest.mark.parametrize("name", SUITE)
def test_a_built_in_scenario_fits_the_bed_it_names(name: str) -> None:
    loaded = load_scenario(name)
    assert [path.name for path in loaded.bed_files()] == list(loaded.scenario.bed)
    check_against(loaded, shipped_topology(loaded.scenario.bed))


@pytest.mark.parametrize("name", [name for name in SUITE if name.startswith("rehome-")])
def test_rehome_scenarios_go_with_real_timers_too(name: str) -> None:
    assert load_scenario(name, profile="srnd").scenario.timers is PROFILES["srnd"]


@pytest.mark.parametrize("name", SUITE)
def test_every_built_in_scenario_goes_with_quick_timers(name: str) -> None:
    assert load_scenario(name, profile="quick").scenario.profile == "quick"


def test_every_kind_of_fault_is_in_some_built_in_scenario() -> None:
    injected = [step.inject for name in SUITE for step in load_scenario(name).scenario.steps if step.inject]
    assert {inject.kind for inject in injected} == set(FAULTS)
    assert {inject.fault.by for inject in injected if isinstance(inject.fault, LinkReject)} == {"rst", "icmp"}


def test_the_slb_with_the_poor_check_differs_in_nothing_but_the_check() -> None:
    """pages-freeze and pages-freeze-tcp-check are a pair: what one shows and the other does not, the check alone explains."""

    def directives(folder: str) -> list[str]:
        lines = (shipped_beds() / folder / "haproxy.cfg").read_text(encoding="utf-8").splitlines()
        return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]

    good, poor = directives("slb"), directives("slb-tcp-check")
    assert [line for line in good if "httpchk" not in line and not line.startswith("http-check")] == poor
    assert len(good) == len(poor) + 3
    pair = [load_scenario(name).scenario for name in ("pages-freeze", "pages-freeze-tcp-check")]
    assert pair[0].steps == pair[1].steps
    assert pair[0].phones == pair[1].phones


def test_a_dump_has_its_defaults_written_out_and_what_was_asked_for() -> None:
    dumped = yaml.safe_load(dump_scenario(load_scenario("rehome-kill", profile="srnd", phones=40).scenario))
    assert (dumped["phones"], dumped["profile"], dumped["bed"]) == (40, "srnd", ["bed.yaml"])
    assert all("claim" in params for item in dumped["expect"] for params in item.values())


def test_steps_and_expectations_read_as_they_are_written() -> None:
    scenario = scenario_of(
        HEAD
        + "steps:\n"
        + "  - {at: 2s, inject: {kill: web-1}, for: 4 keepalives}\n"
        + "  - {after: redirected, press: services, phones: [SEP020000000001]}\n"
        + "  - {browse: {service: text, interval: 600ms, for: 12s}}\n"
        + "  - {at: 1 min}\n"
        + "expect:\n  - recovered:\n  - registered: {at: ccm-1, claim: page}\n"
    )
    fault, press, browse, wait = scenario.steps
    assert [step.action for step in scenario.steps] == ["inject", "press", "browse", "wait"]
    assert fault.inject is not None
    assert (fault.inject.kind, fault.inject.fault.at) == ("kill", "web-1")
    assert fault.for_ is not None
    assert fault.for_.seconds(PROFILES["srnd"]) == 120
    assert (press.after, press.press, press.phones) == ("redirected", ("services",), ("SEP020000000001",))
    assert browse.browse is not None
    assert browse.browse.address == "http://${BED_PREFIX}.1.2/text"
    assert (browse.browse.method, browse.browse.phones) == ("GET", "all")
    assert wait.at is not None
    assert [(item.kind, item.params.claim) for item in scenario.expect] == [
        ("recovered", "requirement"),
        ("registered", "page"),
    ]


def test_a_scenario_needs_nothing_but_its_name() -> None:
    scenario = scenario_of(HEAD)
    assert (scenario.bed, scenario.phones, scenario.profile, scenario.profiles) == (
        ("bed.yaml",),
        12,
        "quick",
        ("quick", "srnd"),
    )
    assert (scenario.steps, scenario.expect, scenario.capture) == ((), (), ())
    assert scenario_of(HEAD + "phones: 0\n").phones == 0


def test_profile_names_are_those_of_the_profiles() -> None:
    assert set(get_args(ProfileName)) == set(PROFILES)


@pytest.mark.parametrize(
    ("text", "line", "path", "message"),
    [
        ("scenario: x\nscenario: y\n", 2, "scenario", "the key 'scenario' is there twice, first on line 1"),
        ("scenario: [\n", 2, "", "is not YAML"),
        ("- scenario: x\n", 1, "", "must hold a mapping"),
        ("phones: 3\n", 1, "scenario", "is missing"),
        ("scenario: Mine!\n", 1, "scenario", "must match pattern"),
        (HEAD + "captures: [slb]\n", 2, "captures", "unknown word 'captures'"),
        (HEAD + 'phones: "12"\n', 2, "phones", 'must be a whole number, not "12"'),
        (HEAD + "phones: yes\n", 2, "phones", "must be a whole number, not true"),
        (HEAD + "phones: -1\n", 2, "phones", "must be greater than or equal to 0"),
        (HEAD + "capture: slb\n", 2, "capture", 'must be a list, not "slb"'),
        (HEAD + "profile: fast\n", 2, "profile", "unknown word 'fast'"),
        (HEAD + "profiles: [srnd]\n", 1, "", "profile quick is not among its profiles: srnd"),
        (HEAD + "bed: []\n", 2, "bed", "at least 1 item"),
        (HEAD + "steps:\n  - {}\n", 3, "steps.0", "does nothing"),
        (HEAD + "steps:\n  - at: 2\n", 3, "steps.0.at", "the duration 2 has no unit"),
        (HEAD + "steps:\n  - at: -2s\n", 3, "steps.0.at", "negative"),
        (HEAD + "steps:\n  - at: 2 hours\n", 3, "steps.0.at", "is no duration"),
        (HEAD + "steps:\n  - after: rehome\n", 3, "steps.0.after", "unknown word 'rehome'"),
        (HEAD + "steps:\n  - inject:\n      kil: ccm-1\n", 4, "steps.0.inject.kil", "unknown word 'kil'"),
        (HEAD + "steps:\n  - inject: {kill: 3}\n", 3, "steps.0.inject.kill", "must be text, not 3"),
        (HEAD + "steps:\n  - inject: {kill: }\n", 3, "steps.0.inject.kill", "must be text, not nothing"),
        (HEAD + "steps:\n  - inject: {kill: a, cut: a}\n", 3, "steps.0.inject", "exactly one key"),
        (HEAD + "steps:\n  - inject: kill\n", 3, "steps.0.inject", "exactly one key"),
        (HEAD + "steps:\n  - {inject: {kill: a}, for: 0s}\n", 3, "steps.0.for", "longer than nothing"),
        (HEAD + "steps:\n  - {inject: {kill: a}, for: 1s, until: rehomed}\n", 3, "steps.0", "either after a time"),
        (HEAD + "steps:\n  - {press: idle, for: 1s}\n", 3, "steps.0", "belongs to a fault"),
        (HEAD + "steps:\n  - {press: idle, inject: {kill: a}}\n", 3, "steps.0", "inject and press are two acts"),
        (HEAD + "steps:\n  - press: [idle, servces]\n", 3, "steps.0.press.1", "unknown word 'servces'"),
        (HEAD + "steps:\n  - press: []\n", 3, "steps.0.press", "at least 1 item"),
        (HEAD + "steps:\n  - {at: 1s, phones: all}\n", 3, "steps.0", "phones belongs to press"),
        (HEAD + "steps:\n  - {browse: {interval: 1s, for: 1s}}\n", 3, "steps.0.browse", "either url or service"),
        (HEAD + "steps:\n  - {browse: {service: text, interval: 1s}}\n", 3, "steps.0.browse.for", "is missing"),
        (
            HEAD + "steps:\n  - browse: {url: 'ftp://x', interval: 1s, for: 1s}\n",
            3,
            "steps.0.browse.url",
            "must be an address",
        ),
        (
            HEAD + "steps:\n  - browse: {url: 'http://${PREFIX}.1.2/', interval: 1s, for: 1s}\n",
            3,
            "steps.0.browse.url",
            "unknown word '${PREFIX}'",
        ),
        (
            HEAD + "steps:\n  - at: 3s\n  - after: rehomed\n  - at: 2s\n",
            5,
            "steps.2.at",
            "steps.2 is at 2 s, after a step at 3 s",
        ),
        (KILL + "until: happy}\n", 3, "steps.0.until", "unknown word 'happy'"),
        (KILL + "until: 0s}\n", 3, "steps.0.until", "later than the beginning"),
        (KILL + "at: 4s, until: 4s}\n", 3, "steps.0.until", "4s is not after at 4s"),
        (KILL + "times: 3}\n", 3, "steps.0", "times needs every"),
        (KILL + "every: 2s, times: 3}\n", 3, "steps.0", "every needs for"),
        (KILL + "every: 2s, for: 1s}\n", 3, "steps.0", "every needs either times"),
        (KILL + "every: 2s, for: 1s, times: 3, until: 9s}\n", 3, "steps.0", "every needs either times"),
        (KILL + "every: 2s, for: 2s, times: 3}\n", 3, "steps.0.every", "2s is not longer than for 2s"),
        (KILL + "every: 50ms, for: 9ms, times: 3}\n", 3, "steps.0.every", "quicker than 0.1 s"),
        (KILL + "every: 2s, for: 1s, times: 0}\n", 3, "steps.0.times", "greater than or equal to 1"),
        (KILL + "every: 2s, for: 1s, times: 5000}\n", 3, "steps.0.times", "less than or equal to 1000"),
        (KILL + "every: 60s, for: 1s, times: 99}\n", 3, "steps.0.times", "longer than an hour"),
        (HEAD + "steps:\n  - {press: idle, every: 1s, times: 2}\n", 3, "steps.0", "every and times belongs to a fault"),
        (HEAD + "expect:\n  - rehomd: {to: ccm-bk}\n", 3, "expect.0.rehomd", "unknown word 'rehomd'"),
        (HEAD + "expect:\n  - rehomed: {too: ccm-bk}\n", 3, "expect.0.rehomed.too", "unknown word 'too'"),
        (HEAD + "expect:\n  - recovered\n", 3, "expect.0", "exactly one key"),
        (HEAD + "expect:\n  - registered: {at: ccm-1}\n    claim: page\n", 3, "expect.0", "exactly one key"),
        (
            HEAD + "expect:\n  - registered: {at: ccm-1, claim: pag}\n",
            3,
            "expect.0.registered.claim",
            "unknown word 'pag'",
        ),
        (HEAD + "expect:\n  - registered: [ccm-1]\n", 3, "expect.0.registered", "must be a mapping, not a list"),
    ],
)
def test_a_wrong_file_is_refused_with_line_and_place(text: str, line: int, path: str, message: str) -> None:
    error = refused(text)
    assert (error.file, error.line, error.path) == ("x.yaml", line, path)
    assert message in error.message.splitlines()[0]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (HEAD + "captures: [slb]\n", "did you mean 'capture'? known: scenario, description, tags, bed, phones"),
        (
            HEAD + "steps:\n  - inject: {kil: a}\n",
            "did you mean 'kill'? known: stop, kill, freeze, restart, power-off, cut, ",
        ),
        (HEAD + "steps:\n  - press: servces\n", "did you mean 'services'? known: services, directory"),
        (
            HEAD + "steps:\n  - after: rehome\n",
            "did you mean 'rehomed'? known: registered, rehomed, returned, redirected, restored",
        ),
        (HEAD + "expect:\n  - rehomd: {}\n", "did you mean 'rehomed'? known: "),
        (HEAD + "expect:\n  - rehomed: {too: ccm-bk}\n", "did you mean 'to'? known: "),
    ],
)
def test_an_unknown_word_lists_the_known_ones(text: str, hint: str) -> None:
    assert refused(text).hint.startswith(hint)


def test_every_wrong_place_of_a_file_is_named_at_once() -> None:
    error = refused(HEAD + "phones: x\nsteps:\n  - at: 2\n  - press: idel\nexpect:\n  - rehomd: {}\n")
    assert re.findall(r"x\.yaml:(\d+)", error.message) == ["2", "4", "5", "7"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"none\.yaml: cannot be read: No such file") as caught:
        load_scenario(tmp_path / "none.yaml")
    assert caught.value.exit_code == EXIT_USAGE


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ({"path_or_name": "rehome-kil"}, "no scenario 'rehome-kil'", "did you mean 'rehome-kill'? known: rehome-stop"),
        ({"path_or_name": "rehome-kill", "profile": "fast"}, "no profile 'fast'", "known: srnd, quick"),
        ({"path_or_name": "standby-kill", "profile": "srnd"}, "does not go with profile srnd", "its profiles: quick"),
        ({"path_or_name": "rehome-kill", "phones": -1}, "-1 phones cannot be", "0 or more"),
    ],
)
def test_a_wrong_request_is_refused_with_what_is_known(arguments: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        load_scenario(**arguments)
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize(
    ("text", "line", "path", "message", "hint"),
    [
        ("capture: [slb, slbb]\n", 2, "capture.1", "no host 'slbb'", "did you mean 'slb'? known: slb, ccm-1"),
        ("steps:\n  - inject: {cut: ccm-2}\n", 3, "steps.0.inject.cut", "no host 'ccm-2'", "did you mean 'ccm-1'?"),
        (
            "expect:\n  - registered: {at: ccm1}\n",
            3,
            "expect.0.registered.at",
            "no host 'ccm1'",
            "did you mean 'ccm-1'?",
        ),
        ("expect:\n  - rehomed:\n      to: nowhere\n", 4, "expect.0.rehomed.to", "no host 'nowhere'", "known: slb"),
        (
            "expect:\n  - packets: {class: http, policy: cs3x, hop: web-1->slb}\n".replace(
                "cs3x", "srnd-table-11-4"
            ).replace("web-1", "web-9"),
            3,
            "expect.0.packets.hop",
            "no host 'web-9'",
            "did you mean 'web-",
        ),
        ("steady: {http: phonez->slb}\n", 2, "steady.http.0", "no host 'phonez'", "did you mean"),
        (
            "capture: [slb]\nsteady: {http: web-1->ccm-1}\n",
            3,
            "steady.http",
            "nothing is captured at web-1",
            "capture: [web-1]",
        ),
        (
            "capture: [slb]\nexpect:\n  - http: {at: web-1}\n",
            4,
            "expect.0.http",
            "nothing is captured at web-1",
            "capture: [web-1]",
        ),
        (
            "capture: [phones-1]\nexpect:\n  - http: {hop: phones->slb}\n",
            4,
            "expect.0.http",
            "nothing is captured at phones-2",
            "capture: [phones-2]",
        ),
        (
            "steps:\n  - press: idle\n    phones: [SEP020000000001, SEP020000000099]\n",
            4,
            "steps.0.phones.1",
            "no phone 'SEP020000000099'",
            "this bed has 12 phones, SEP020000000001 to SEP02000000000C",
        ),
        (
            "steps:\n  - browse: {service: text, interval: 1s, for: 1s, phones: [SEP1]}\n",
            3,
            "steps.0.browse.phones.0",
            "no phone 'SEP1'",
            "this bed has 12 phones",
        ),
    ],
)
def test_a_host_or_phone_the_bed_does_not_have_is_named(
    tmp_path: Path, text: str, line: int, path: str, message: str, hint: str
) -> None:
    loaded = load_scenario(saved(tmp_path, HEAD + text))
    with pytest.raises(ScenarioError) as caught:
        check_against(loaded, shipped_topology(("bed.yaml",)))
    assert (caught.value.line, caught.value.path) == (line, path)
    assert message in caught.value.message
    assert caught.value.hint.startswith(hint)


def test_steps_are_in_order_of_time_under_the_profile_asked_for(tmp_path: Path) -> None:
    path = saved(tmp_path, HEAD + "steps:\n  - at: 2 keepalives\n  - at: 10s\n")
    assert load_scenario(path).scenario.profile == "quick"
    with pytest.raises(ScenarioError, match=r"steps\.1 is at 10 s, after a step at 60 s"):
        load_scenario(path, profile="srnd")


def test_a_hop_may_name_roles(tmp_path: Path) -> None:
    text = "expect:\n  - packets: {class: http, policy: srnd-table-11-4, hop: slb -> phones}\n"
    check_against(load_scenario(saved(tmp_path, HEAD + text)), shipped_topology(("bed.yaml",)))


@pytest.mark.parametrize("captured", ["[phones-1, phones-2]", "[slb]", "[phones-1, slb]"])
def test_http_over_a_hop_is_seen_at_its_clients_or_at_its_server(captured: str, tmp_path: Path) -> None:
    text = f"capture: {captured}\nsteady: {{http: phones->slb}}\nexpect:\n  - http: {{hop: phones->slb}}\n"
    check_against(load_scenario(saved(tmp_path, HEAD + text)), shipped_topology(("bed.yaml",)))


def test_compose_files_beside_the_scenario_go_before_those_that_ship(tmp_path: Path) -> None:
    (tmp_path / "no-slb.yaml").write_text("services: {}\n")
    loaded = load_scenario(saved(tmp_path, HEAD + "bed: [bed.yaml, no-slb.yaml]\n"))
    assert loaded.bed_files() == (shipped_beds() / "bed.yaml", tmp_path / "no-slb.yaml")


def test_a_compose_file_that_is_nowhere_is_named_with_those_that_ship(tmp_path: Path) -> None:
    loaded: LoadedScenario = load_scenario(saved(tmp_path, HEAD + "bed:\n  - bed.yaml\n  - noslb.yaml\n"))
    with pytest.raises(BedError, match=r":4: bed\.1: no compose file 'noslb\.yaml'") as caught:
        loaded.bed_files()
    assert caught.value.hint.startswith("did you mean 'no-slb.yaml'? known: bed.yaml")


def test_a_compose_file_of_a_name_that_is_too_long_is_nowhere(tmp_path: Path) -> None:
    loaded = load_scenario(saved(tmp_path, HEAD + f"bed: [{'x' * 300}]\n"))
    with pytest.raises(BedError, match=r"bed\.0: no compose file 'xxx"):
        loaded.bed_files()
    with pytest.raises(UsageError, match="no compose file 'xxx"):
        compose_files(["x" * 300])


def test_the_same_path_without_a_slash_is_a_name_only_without_a_suffix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path, HEAD)
    monkeypatch.chdir(tmp_path)
    assert load_scenario("mine.scenario.yaml").scenario.scenario == "mine"
