"""Whether HTTP flows: over a hop that a scenario names, and after a fault over every hop over which it flowed before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from testbed.checks.facts import fault_windows
from testbed.checks.http_seen import Sighting, between, described, hops_seen, on_hop, spans
from testbed.recording import Run

GOOD_BELOW = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class Return:
    """One hop over which pages were answered before the first fault. ``last`` is the last request since the last healing that ended;
    ``after_s`` is how long after that healing the first answer came after which all were as before, None where none did."""

    client: str
    server: str
    last: Sighting | None
    after_s: float | None

    def __str__(self) -> str:
        return f"{self.client}->{self.server}"


def is_good(one: Sighting) -> bool:
    """A whole answer that says no error."""
    exchange = one.exchange
    return not exchange.failure and not exchange.is_open and exchange.status < GOOD_BELOW


def returns(run: Run) -> list[Return]:
    """Every such hop; none where no fault was healed, or one was not."""
    windows = fault_windows(run)
    if not windows or any(window.healed is None for window in windows):
        return []
    healed_s = max(window.healed_s for window in windows)
    [before] = spans(run, "before")
    found = []
    for client, server in hops_seen(run):
        ended = [one for one in between(run, [client], [server]).sightings if not one.exchange.is_open]
        earlier = before.of(ended)
        if any(is_good(one) for one in earlier):
            later = [one for one in ended if one.exchange.began_s >= healed_s]
            usual = {_outcome(one) for one in earlier}
            back = next((one for one in _since_unusual(later, usual) if is_good(one)), None)
            found.append(
                Return(
                    client=client.name,
                    server=server.name,
                    last=later[-1] if later else None,
                    after_s=_ended_s(back) - healed_s if back else None,
                )
            )
    return found


def _since_unusual(later: list[Sighting], usual: set[tuple[int, str]]) -> list[Sighting]:
    """Those after the last one that came to an end not seen before the faults."""
    unusual = [place for place, one in enumerate(later) if _outcome(one) not in usual]
    return later[unusual[-1] + 1 :] if unusual else later


def _outcome(one: Sighting) -> tuple[int, str]:
    return one.exchange.status, one.exchange.failure


def _ended_s(one: Sighting) -> float:
    assert one.exchange.ended is not None
    return one.exchange.ended.time_s


def still(run: Run, hops: Iterable[str], for_s: float) -> str:
    """What is still missing until each of these hops has had nothing but answers for so long; empty where nothing is."""
    windows = [window for window in fault_windows(run) if window.healed]
    healed_s = max((window.healed_s for window in windows), default=0.0)
    for hop in hops:
        seen = on_hop(run, hop)
        if seen.unseen:
            return f"{hop}: nothing is captured at {seen.unseen}"
        ended = [one for one in seen.sightings if not one.exchange.is_open and _ended_s(one) >= healed_s]
        now_s = max((one.until_s for one in ended), default=0.0)
        recent = [one for one in ended if _ended_s(one) >= now_s - for_s]
        bad = [one for one in recent if not is_good(one)]
        if bad:
            return f"{hop}: {described(run, bad[-1])}, {_words(bad[-1])}"
        if not recent:
            return f"{hop}: no answer" + (f" for {for_s:g} s" if ended else "")
        if _ended_s(ended[0]) > now_s - for_s:
            return f"{hop}: answered, but not for {for_s:g} s yet"
    return ""


def _words(one: Sighting) -> str:
    return one.exchange.failure or f"HTTP {one.exchange.status}"
