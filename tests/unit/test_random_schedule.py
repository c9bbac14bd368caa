"""Random schedules: the same for the same seed, possible in their bed, without clashes, and of bounded length, whatever the seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import bed

from testbed.checks.effects import proof_of
from testbed.clashes import clashes, windows
from testbed.cli import cli
from testbed.errors import UsageError
from testbed.faults import KINDS, fault_of
from testbed.random_runs import as_loaded, bed_words, save
from testbed.random_schedule import (
    CALM,
    FIRST,
    MOST_FAULTS,
    OVER,
    QUIET,
    SETTLED,
    SHORTEST,
    Drawn,
    in_the_way,
    needs,
    places,
    random_scenario,
)
from testbed.scenario import check_against, dump_scenario, load_scenario, shipped_beds
from testbed.scenario_model import Scenario
from testbed.topology import Host, Link, Role, Topology

BED = bed(phones=4)
SEEDS = st.integers(0, 2**32 - 1)


def plain() -> Topology:
    """A client, an SLB and two servers that are nothing to us, with addresses that Docker hands out."""
    roles = {"client": Role.CLIENT, "slb": Role.SLB, "shop-1": Role.OTHER, "shop-2": Role.OTHER}
    hosts = tuple(
        Host(name=name, role=role, links=(Link(host=name, network="net"),), image="x", ours=False)
        for name, role in roles.items()
    )
    return Topology(bed="plain", prefix="172.26.0.0/16", profile="quick", hosts=hosts)


def schedule(seed: int, number: int = 1, topology: Topology = BED) -> Scenario:
    return random_scenario(topology, seed, number, bed=["bed.yaml"])


def drawn(scenario: Scenario) -> list[Drawn]:
    return [
        Drawn(fault=step.inject.fault, at=step.at.amount, lasts=step.for_.amount)
        for step in scenario.steps
        if step.inject and step.at and step.for_
    ]


# -- properties


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, number=st.integers(1, 1000), shipped=st.booleans(), srnd=st.booleans())
def test_every_schedule_is_possible_in_its_bed_without_a_clash_and_bounded(
    seed: int, number: int, shipped: bool, srnd: bool
) -> None:
    topology = replace(BED if shipped else plain(), profile="srnd" if srnd else "quick")
    scenario = schedule(seed, number, topology)
    check_against(as_loaded(scenario, Path()), topology)
    faults = drawn(scenario)
    assert 1 <= len(faults) == len(scenario.faults) <= MOST_FAULTS
    assert all(one.at >= FIRST and one.until <= OVER and one.lasts >= SHORTEST for one in faults)
    assert not list(
        clashes(scenario.steps, scenario.timers, [_claims(scenario, i, topology) for i in range(len(scenario.steps))])
    )
    planned = windows(scenario.steps, scenario.timers)
    assert max(window.until_s for window in planned) <= (OVER + 1e-6) * scenario.timers.keepalive_s
    assert max(step.at.amount for step in scenario.steps if step.at) <= OVER + QUIET + 1e-6
    assert all(proof_of(fault.kind) for fault in scenario.faults)


def _claims(scenario: Scenario, place: int, topology: Topology) -> frozenset[str]:
    injection = scenario.steps[place].inject
    return injection.fault.claims(topology) if injection else frozenset()


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, number=st.integers(1, 50))
def test_a_seed_gives_the_same_bytes_again_and_they_load(seed: int, number: int) -> None:
    text = dump_scenario(schedule(seed, number))
    assert dump_scenario(schedule(seed, number)) == text
    loaded = as_loaded(schedule(seed, number), Path("runs"))
    assert dump_scenario(loaded.scenario) == text
    assert loaded.file == Path(f"runs/random-{seed}-{number}.scenario.yaml")


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_no_two_faults_hide_each_other(seed: int) -> None:
    faults = drawn(schedule(seed))
    for place, one in enumerate(faults):
        assert not any(in_the_way(BED, one, other) for other in faults[:place])


# -- what is drawn


def test_a_seed_is_what_it_was_when_this_was_written() -> None:
    """A later version that draws otherwise must say so: people keep seeds."""
    scenario = schedule(7)
    assert [str(fault) for fault in scenario.faults] == ["bleach tcp/2000 at ccm-bk"]
    assert [step.at and str(step.at) for step in scenario.steps] == [None, None, "4 keepalives", "11.5 keepalives"]


def test_numbers_of_one_seed_and_neighbouring_seeds_differ() -> None:
    texts = {
        dump_scenario(schedule(seed, number)).partition("steps:")[2] for seed in range(5) for number in range(1, 5)
    }
    assert len(texts) == 20


def test_every_kind_of_ours_is_drawn_sooner_or_later_at_several_places() -> None:
    found: dict[str, set[str]] = {}
    for seed in range(400):
        for fault in schedule(seed).faults:
            found.setdefault(fault.kind, set()).add(fault.at)
    assert set(found) == set(KINDS)
    assert {"phones<->ccm-1", "slb<->web-1", "tcp/2000 at ccm-1", "1/2 of phones<->ccm-bk", "slb"} <= set().union(
        *found.values()
    )
    assert not {"phones-1", "tftp", "proxy", "outside-web"} & set().union(*found.values())


def test_a_flap_is_of_all_packets_since_only_probes_show_its_turns() -> None:
    targets = [fault.at for seed in range(400) for fault in schedule(seed).faults if fault.kind == "flap"]
    assert any("<->" in target for target in targets)
    assert not any(" at " in target for target in targets)


def test_several_faults_at_a_time_do_happen() -> None:
    overlapping = 0
    for seed in range(60):
        faults = drawn(schedule(seed))
        overlapping += any(one.at < other.until for one in faults for other in faults if one.at > other.at)
    assert overlapping > 10


def test_a_bed_of_somebody_elses_gets_what_its_hosts_can_have() -> None:
    kinds = set()
    for seed in range(200):
        scenario = schedule(seed, topology=plain())
        assert not any(step.browse or step.after for step in scenario.steps)
        assert scenario.steady
        assert scenario.steady.http == ("client->slb",)
        assert set(scenario.capture) == {"client", "slb", "shop-1", "shop-2"}
        kinds |= {fault.kind for fault in scenario.faults}
    assert {"kill", "cut", "loss", "bleach"} <= kinds
    assert not {"mute", "register-reject", "http-error", "http-slow"} & kinds


def test_a_bed_in_which_nothing_is_asked_of_anybody_is_refused() -> None:
    idle = replace(plain(), hosts=plain().hosts[:1])
    with pytest.raises(UsageError, match="no kind of fault can be drawn") as caught:
        schedule(1, topology=idle)
    assert "asked for something" in caught.value.hint


def test_pages_of_a_web_image_of_the_users_own_are_not_asked_for() -> None:
    hosts = tuple(replace(host, ours=host.role is not Role.WEB_HOST) for host in BED.hosts)
    urls = [step.browse.address for step in schedule(1, topology=replace(BED, hosts=hosts)).steps if step.browse]
    assert urls == ["http://${BED_PREFIX}.1.1/CCMCIP/xmldirectory.asp"]


def test_each_page_is_asked_for_by_its_own_phones_and_again_by_those_that_were_reset() -> None:
    """A phone browses one page at a time, and forgets it when it begins anew."""
    resets = 0
    for seed in range(80):
        scenario = schedule(seed)
        browses = [(step.at.amount if step.at else 0.0, step.browse) for step in scenario.steps if step.browse]
        ends = {one.until for one in drawn(scenario) if one.fault.kind == "register-reject"}
        assert {at for at, _ in browses} == {0.0, *(round(end + SETTLED, 1) for end in ends)}
        for moment in {at for at, _ in browses}:
            phones = [phone for at, browse in browses if at == moment for phone in browse.phones]
            assert sorted(phones) == sorted(BED.phones)
        resets += bool(ends)
    assert resets > 3


def test_a_kind_that_says_nothing_of_itself_is_not_drawn() -> None:
    from testbed.faults.base import Fault

    assert Fault.drawn(BED, Random(1)) is None
    assert all(kind.drawn(BED, Random(1)) for kind in KINDS.values())


# -- what is in whose way


def at(kind: str, target: str, since: float = 2.0, lasts: float = 4.0, **parameters: object) -> Drawn:
    return Drawn(fault=fault_of(kind, target, **parameters), at=since, lasts=lasts)


@pytest.mark.parametrize(
    ("one", "other", "is_so"),
    [
        (at("kill", "ccm-1"), at("freeze", "ccm-1", 4.0), True),
        (at("kill", "ccm-1"), at("cut", "ccm-1", 9.0), True),
        (at("kill", "ccm-1"), at("cut", "ccm-1", 6.0 + CALM), False),
        (at("kill", "ccm-1"), at("freeze", "ccm-bk"), False),
        (at("kill", "web-1"), at("kill", "web-2"), False),
        (at("kill", "web-1"), at("kill", "slb"), True),
        (at("cut", "web-1"), at("kill", "slb"), False),
        (at("http-error", "ccm-1"), at("cut", "phones<->slb"), True),
        (at("http-error", "web-1"), at("kill", "ccm-1"), False),
        (at("http-error", "web-1"), at("register-reject", "ccm-1"), True),
        (at("cut", "phones<->ccm-1"), at("cut", "phones<->ccm-bk"), False),
        (at("cut", "slb<->web-1"), at("delay", "slb", by="20ms"), True),
        (at("cut", "slb<->web-host"), at("kill", "web-2"), True),
    ],
)
def test_faults_that_would_hide_each_other_are_in_the_way(one: Drawn, other: Drawn, is_so: bool) -> None:
    assert in_the_way(BED, one, other) is is_so
    assert in_the_way(BED, other, one) is is_so


def test_places_and_needs_of_faults() -> None:
    assert places(BED, fault_of("cut", "slb<->web-1")) == {"slb", "web-1"}
    assert places(BED, fault_of("cut", "1/2 of phones<->ccm-1")) == {"ccm-1"}
    assert places(BED, fault_of("cut", "tcp/2000 at call-control")) == {"ccm-1", "ccm-bk"}
    assert needs(BED, fault_of("kill", "web-1")) == {"slb"}
    assert needs(BED, fault_of("http-error", "ccm-1")) == {"slb"}
    assert needs(BED, fault_of("mute", "ccm-1")) == frozenset()
    assert needs(BED, fault_of("cut", "web-1")) == frozenset()


# -- files and the command line


def test_a_policy_of_the_users_own_is_written_into_the_scenario(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("policy: mine\nclasses: {http: [AF31, default]}\n", encoding="utf-8")
    scenario = random_scenario(BED, 3, 1, bed=["bed.yaml"], policy=str(file))
    file.unlink()
    again = as_loaded(scenario, tmp_path).scenario.expect[0].params
    assert again.policy.name == "mine"
    assert again.policy.classes == {"http": (26, 0)}


def test_a_saved_schedule_is_a_scenario_file_like_any_other(tmp_path: Path) -> None:
    loaded = as_loaded(schedule(3, 2), tmp_path)
    file = save(loaded)
    assert file == tmp_path / "random-3-2.scenario.yaml"
    again = load_scenario(file)
    assert again.scenario == loaded.scenario
    assert [path.name for path in again.bed_files()] == ["bed.yaml"]


def test_a_schedule_that_cannot_be_saved_says_where(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write"):
        save(as_loaded(schedule(3), tmp_path / "absent"))


def test_compose_files_that_ship_are_named_and_others_are_found_from_anywhere(tmp_path: Path) -> None:
    assert bed_words([shipped_beds() / "bed.yaml", tmp_path / "mine.yaml"]) == ["bed.yaml", str(tmp_path / "mine.yaml")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--random", "0"], "0 is not in the range"),
        (["--random", "-3"], "-3 is not in the range"),
        (["--random", "many"], "'many' is not a valid integer"),
        (["--random", "2", "--seed", "-1"], "-1 is not in the range"),
        (["--random", "2", "rehome-kill"], "--random draws its own scenarios"),
        (["--random", "2", "--all"], "--random draws its own scenarios"),
        (["--seed", "7"], "--seed belongs to random runs"),
        (["rehome-kill", "-f", "bed.yaml"], "-f belongs to random runs"),
        (["rehome-kill", "--policy", "cs3"], "--policy belongs to random runs"),
        (["--random", "2", "-f", "nowhere.yaml"], "no compose file 'nowhere.yaml'"),
    ],
)
def test_what_does_not_go_together_is_refused(words: list[str], said: str) -> None:
    outcome = CliRunner().invoke(cli, ["run", *words])
    text = outcome.output + str(getattr(outcome.exception, "message", ""))
    assert said in text
    assert outcome.exit_code != 0
