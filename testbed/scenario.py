"""Scenario files: loading them by path or name, holding them against a bed, and writing them down resolved."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from testbed.call_plan import pairs
from testbed.clashes import FOREVER, clashes
from testbed.document import Document, Where, is_file, known_words, read_document, validated
from testbed.duration import Duration, parse_duration
from testbed.errors import UsageError
from testbed.profile import PROFILES
from testbed.scenario_model import (
    PLACEHOLDERS,
    Browse,
    Expectation,
    Fact,
    Injection,
    Key,
    Scenario,
    Step,
    registered_model,
)
from testbed.topology import Role, Topology

__all__ = [
    "PLACEHOLDERS",
    "SUITE",
    "Browse",
    "Duration",
    "Expectation",
    "Fact",
    "Injection",
    "Key",
    "LoadedScenario",
    "Scenario",
    "Step",
    "builtin_scenarios",
    "check_against",
    "compose_files",
    "dump_scenario",
    "load_scenario",
    "parse_duration",
]

SUFFIX = ".scenario.yaml"
_BUILTIN = Path(__file__).parent / "scenarios"

SUITE = (
    "rehome-stop",
    "rehome-kill",
    "rehome-restart",
    "rehome-cut",
    "rehome-power-off",
    "rehome-link-down",
    "rehome-reject",
    "rehome-freeze",
    "phones-cut-from-ccm-1",
    "some-phones-cut",
    "both-call-controls-gone",
    "urls-without-slb",
    "urls-with-slb",
    "push-without-authentication",
    "push-with-slb",
    "pages-cut-from-slb",
    "pages-freeze",
    "pages-freeze-tcp-check",
    "phones-cut-from-slb",
    "slb-down",
    "tftp-down",
    "service-needs-call-manager-without-slb",
    "service-needs-call-manager",
    "standby-without-slb",
    "standby-stop",
    "standby-kill",
    "standby-cut",
    "standby-freeze",
    "standby-fail-back",
    "both-web-hosts-gone",
    "marking-signalling",
    "marking-http-lost-at-slb",
    "marking-http-remarked",
    "marking-rtp-call",
    "call-hold",
    "call-transfer",
    "call-across",
    "marking-bleached",
    "marking-precedence-ignored",
    "call-preserved",
    "call-preserved-stop",
    "call-preserved-cut",
    "call-preserved-freeze",
    "marking-rtp-service",
    "marking-rtp-service-marked",
    "congested-link",
    "impair-delay",
    "impair-loss",
    "impair-rate",
    "impair-words",
    "impair-all",
    "app-http-error",
    "app-http-error-health",
    "app-http-slow",
    "app-register-reject",
    "app-mute",
    "fault-cut-in",
    "fault-cut-out",
    "fault-reject-icmp",
    "fault-flap",
    "fault-bleach",
    "fault-remark",
    "script-overlap",
    "script-every",
)
"""The order in which the built-in scenarios are listed and run: that of the page."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedScenario:
    """A scenario and the file it came from; ``document`` knows the line of everything in it."""

    scenario: Scenario
    file: Path
    document: Document

    def bed_files(self) -> tuple[Path, ...]:
        """The compose files: beside the scenario, or else those that ship; ScenarioError if in neither."""
        return tuple(self._bed_file(place, name) for place, name in enumerate(self.scenario.bed))

    def _bed_file(self, place: int, name: str) -> Path:
        for folder in (self.file.parent, shipped_beds()):
            if is_file(folder / name):
                return (folder / name).resolve()
        known = sorted(path.name for path in shipped_beds().glob("*.yaml"))
        hint = known_words(name, known) + f"; or a path relative to {self.file.parent}"
        raise self.document.error(f"no compose file {name!r}", ("bed", place), hint=hint)


def shipped_beds() -> Path:
    """Folder of the compose files that ship: in the package of an installed test-bed, else in the checkout."""
    installed = Path(__file__).parent / "_shipped" / "compose"
    return installed if installed.is_dir() else Path(__file__).parent.parent / "compose"


def compose_files(words: Iterable[str]) -> tuple[Path, ...]:
    """Compose files by path, or else by the name of one that ships."""
    found = []
    for word in words:
        path = next((p for p in (Path(word), shipped_beds() / word) if is_file(p)), None)
        if path is None:
            known = ", ".join(sorted(p.name for p in shipped_beds().glob("*.yaml")))
            raise UsageError(f"no compose file {word!r}", hint=f"built in: {known}; or give a path")
        found.append(path.resolve())
    return tuple(found)


def builtin_scenarios() -> list[str]:
    """Names of the built-in scenarios, in the order of SUITE; others that lie in the folder follow by name."""
    names = {path.name.removesuffix(SUFFIX) for path in _BUILTIN.glob(f"*{SUFFIX}")}
    return [name for name in SUITE if name in names] + sorted(names - set(SUITE))


def load_scenario(path_or_name: str | Path, *, profile: str | None = None, phones: int | None = None) -> LoadedScenario:
    """The scenario in this file, or the built-in one of this name; ``profile`` and ``phones`` replace its own.

    A path has a slash or ends in .yaml or .yml. ScenarioError (file, line, path) where the file is wrong, UsageError
    where there is no such scenario or it does not go with this profile.
    """
    file = _find(path_or_name)
    document = read_document(file)
    scenario: Scenario = validated(document, registered_model())
    if changes := _changes(scenario, profile, phones):
        scenario = validated(replace(document, value=document.value | changes), registered_model())
    return LoadedScenario(scenario=scenario, file=file, document=document)


def _find(path_or_name: str | Path) -> Path:
    word = str(path_or_name)
    if isinstance(path_or_name, Path) or "/" in word or word.endswith((".yaml", ".yml")):
        return Path(path_or_name)
    names = builtin_scenarios()
    if word not in names:
        raise UsageError(f"no scenario {word!r}", hint=known_words(word, names) + "; or the path of a .yaml file")
    return _BUILTIN / (word + SUFFIX)


def _changes(scenario: Scenario, profile: str | None, phones: int | None) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if profile is not None:
        if profile not in PROFILES:
            raise UsageError(f"no profile {profile!r}", hint=known_words(profile, PROFILES))
        if profile not in scenario.profiles:
            has = ", ".join(scenario.profiles)
            raise UsageError(f"{scenario.scenario} does not go with profile {profile}", hint=f"its profiles: {has}")
        changes["profile"] = profile
    if phones is not None:
        if phones < 0:
            raise UsageError(f"{phones} phones cannot be", hint="0 or more")
        changes["phones"] = phones
    return changes


def dump_scenario(scenario: Scenario) -> str:
    """The scenario as a YAML file that loads to an equal one. Defaults are written out: later ones don't matter."""
    record = scenario.model_dump(mode="json", by_alias=True, exclude={"expect"}, exclude_none=True)
    record["expect"] = [{item.kind: item.params.model_dump(mode="json", by_alias=True)} for item in scenario.expect]
    return yaml.safe_dump(record, sort_keys=False, allow_unicode=True, width=120)


def check_against(loaded: LoadedScenario, topology: Topology) -> None:
    """ScenarioError, with line and known words, where the scenario names a host or phone that the bed does not have, or has
    faults at one time that exclude each other."""
    hosts = [host.name for host in topology.hosts]
    roles = ["phones", *Role]
    _refuse_clashes(loaded, [_claims(loaded, place, topology) for place in range(len(loaded.scenario.steps))])
    for where, word in _hosts_named(loaded.scenario):
        if word not in hosts and not ((where[-1] == "hop" or where[0] == "steady") and word in roles):
            raise loaded.document.error(f"no host {word!r} in this bed", where, hint=known_words(word, hosts))
    for where, clients, servers in _http_watched(loaded.scenario):
        if missing := _uncaptured(loaded.scenario, topology, clients, servers):
            message = f"nothing is captured at {missing}: HTTP is seen only where packets are"
            raise loaded.document.error(message, where, hint=f"capture: [{missing}]")
    for place, step in enumerate(loaded.scenario.steps):
        if step.call is not None:
            try:
                pairs(topology, step.call.pairs)
            except UsageError as error:
                raise loaded.document.error(error.message, ("steps", place, "call", "pairs"), hint=error.hint) from None
    phones = set(topology.phones)
    for where, word in _phones_named(loaded.scenario):
        if word not in phones:
            hint = f"this bed has {len(phones)} phones" + (f", {min(phones)} to {max(phones)}" if phones else "")
            raise loaded.document.error(f"no phone {word!r} in this bed", where, hint=hint)


def _claims(loaded: LoadedScenario, place: int, topology: Topology) -> frozenset[str]:
    """What the fault of this step needs for itself alone; ScenarioError where this bed cannot have it."""
    step = loaded.scenario.steps[place]
    if step.inject is None:
        return frozenset()
    try:
        step.inject.fault.hosts(topology)
        return step.inject.fault.claims(topology)
    except UsageError as error:
        raise loaded.document.error(
            error.message, ("steps", place, "inject", step.inject.kind), hint=error.hint
        ) from None


def _refuse_clashes(loaded: LoadedScenario, claims: list[frozenset[str]]) -> None:
    steps = loaded.scenario.steps
    for clash in clashes(steps, loaded.scenario.timers, claims):
        (first, earlier), (second, later) = (
            (window, injection)
            for window in (clash.first, clash.second)
            if (injection := steps[window.step].inject) is not None
        )
        until = "the end of the steps" if first.until_s == FOREVER else f"{first.until_s:g} s"
        since = "" if second.stretch else f", at {second.since_s:g} s,"
        raise loaded.document.error(
            f"{later.fault} begins{since} while {earlier.fault} (steps.{first.step}) lasts until {until}: "
            f"both need {', '.join(sorted(clash.over))}",
            ("steps", second.step, "inject", later.kind),
            hint="let the one end before the other begins: `for: 2s`, `until: rehomed`, a later `at`",
        )


_HOST_PARAMETERS = ("at", "from", "to", "by", "host", "hop", "seen-at")
"""Parameters of expectations that name hosts; a hop is two of them, or of roles: ``web-1->slb``, ``slb->phones``."""


def _hosts_named(scenario: Scenario) -> Iterator[tuple[Where, str]]:
    for place, host in enumerate(scenario.capture):
        yield ("capture", place), host
    for place, step in enumerate(scenario.steps):
        for word, act in (("push", step.push), ("stream", step.stream), ("reset", step.reset)):
            if act is not None:
                yield ("steps", place, word, "from"), act.from_
    for place, hop in enumerate(scenario.steady.http if scenario.steady else ()):
        for host in re.split(r"\s*->\s*", hop):
            yield ("steady", "http", place), host
    for place, expectation in enumerate(scenario.expect):
        given = expectation.params.model_dump(by_alias=True)
        for word in _HOST_PARAMETERS:
            if isinstance(given.get(word), str) and given[word]:
                for host in re.split(r"\s*->\s*", given[word]):
                    yield ("expect", place, expectation.kind, word), host


def _http_watched(scenario: Scenario) -> Iterator[tuple[Where, str, str]]:
    """Clients ("" for anybody) and servers whose HTTP the scenario speaks of: hosts, or roles."""
    hops: list[tuple[Where, str, str]] = [
        (("steady", "http"), hop, "") for hop in (scenario.steady.http if scenario.steady else ())
    ]
    for place, expectation in enumerate(scenario.expect):
        if expectation.kind == "http":
            hops.append((("expect", place, "http"), expectation.params.hop or "", expectation.params.at or ""))
    for where, hop, at in hops:
        client, _, server = hop.partition("->")
        yield where, client.strip(), server.strip() or at


def _uncaptured(scenario: Scenario, topology: Topology, clients: str, servers: str) -> str:
    """The first host at which a capture is missing: the client's, or else the server's will do."""
    pairs = [(client, server) for client in _meant(topology, clients) for server in _meant(topology, servers)]
    return next((ends[0] or ends[1] for ends in pairs if not set(ends) & set(scenario.capture)), "")


def _meant(topology: Topology, word: str) -> list[str]:
    role = "phone" if word == "phones" else word
    return [host.name for host in topology.hosts if host.role == role] or [word]


def _phones_named(scenario: Scenario) -> Iterator[tuple[Where, str]]:
    for place, step in enumerate(scenario.steps):
        for where, phones in (
            (("steps", place), step.phones),
            (("steps", place, "browse"), step.browse and step.browse.phones),
            (("steps", place, "push"), step.push and step.push.phones),
            (("steps", place, "stream"), step.stream and step.stream.phones),
            (("steps", place, "reset"), step.reset and step.reset.phones),
        ):
            if isinstance(phones, tuple):
                for index, phone in enumerate(phones):
                    yield (*where, "phones", index), phone
        if step.keys is not None:
            yield ("steps", place, "keys", "phone"), step.keys.phone
