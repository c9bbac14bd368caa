"""How soon faults take effect, how near their time they are, and how well re-homes agree with packets: read from recorded runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from testbed.checks.effects import effects
from testbed.checks.facts import quantiles, seen
from testbed.errors import BedError
from testbed.faults import KINDS
from testbed.judge import judge_run
from testbed.recording import Run

ASKED_S = {"cut": 0.02, "reject": 0.02, "impairments": 0.02, "freeze": 0.1, "kill": 0.1}
SCHEDULED_S = 0.05
AGREEMENT_S = 0.01


def rows(runs: Path) -> list[tuple[str, str, str]]:
    """(what, asked, measured) over all run folders below this one."""
    opened = list(_opened(runs))
    confirmed, by_packets, off_s, differ_s = collected(opened)
    found = []
    for word, asked_s in ASKED_S.items():
        asked = f"p95 ≤ {asked_s * 1000:.0f} ms"
        found.append((f"{word}: command to effect, by kernel or engine", asked, words(confirmed.get(word, []))))
        found.append((f"{word}: the same by packets, probed every 20 ms", "", words(by_packets.get(word, []))))
    found.append(("faults off their scheduled time", f"p95 ≤ {SCHEDULED_S * 1000:.0f} ms", words(off_s)))
    found.append(("re-homes against packets, largest of a run", f"≤ {AGREEMENT_S * 1000:.0f} ms", words(differ_s)))
    return found


def collected(
    runs: Iterable[Run],
) -> tuple[dict[str, list[float]], dict[str, list[float]], list[float], list[float]]:
    """(kind -> seconds to confirmation, kind -> seconds to the first packet, seconds between due and in effect, seconds of disagreement)."""
    confirmed: dict[str, list[float]] = defaultdict(list)
    by_packets: dict[str, list[float]] = defaultdict(list)
    off_s: list[float] = []
    differ_s: list[float] = []
    for run in runs:
        for effect in effects(run):
            window = effect.window
            word = "impairments" if KINDS[window.kind].family == "impairment" else window.kind
            confirmed[word].append(window.effect_s - window.began_s)
            if effect.command_to_effect_s is not None:
                by_packets[word].append(effect.command_to_effect_s)
        off_s += [
            abs(float(event["effect_s"]) - float(event["scheduled_s"]))
            for event in seen(run, "FaultConfirmed")
            if event["effect_s"] is not None and event["scheduled_s"] is not None
        ]
        figures = [verdict.figures for verdict in judge_run(run)]
        differ_s += [float(own["packets_differ_max_s"]) for own in figures if "packets_differ_max_s" in own]
    return confirmed, by_packets, off_s, differ_s


def words(values_s: list[float]) -> str:
    """``p50 5 ms, p95 9 ms, max 10 ms, of 12``."""
    if not values_s:
        return "no figure"
    found = quantiles("x", values_s)
    return (
        ", ".join(f"{word} {found[f'x_{word}_s'] * 1000:.1f} ms" for word in ("p50", "p95", "max"))
        + f", of {len(values_s)}"
    )


def _opened(runs: Path) -> Iterable[Run]:
    for folder in sorted(path.parent for path in runs.glob("*/topology.json")):
        try:
            yield Run.open(folder)
        except BedError:
            continue
