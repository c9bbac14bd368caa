"""How long a re-home may take: the one place where slack is granted. All values in seconds.

A failover's budget follows from what makes a phone notice: a stopped or killed call control closes its connections, so phones leave
at once; one that refuses is noticed by the next packet; a frozen or cut one has to be missed, by keepalives or by TCP, and the
profile says how long that takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from testbed.profile import KEEPALIVE_MISSES, Profile

AT_ONCE_S = 1.0
"""Where a FIN, an RST or a refusal tells the phone: nothing is waited for, connections and registrations take this long."""

KEEPALIVE_JITTER = 0.05
"""Share by which a keepalive may be late: intervals of 30.0 to 31.5 s were measured where 30 s were asked for."""

HOST_START_S = 2.0
"""From the engine's word that a workload runs again to its listening socket."""

REGISTRATION_S = 0.5
"""For connection and registration, on top of late keepalives."""

EARLY_S = 0.1
"""How much sooner than the shortest detection a re-home may be seen: stamps come from different processes."""


def slack_s(profile: Profile) -> float:
    """Granted on top of the longest detection. srnd: 5 s, quick: 1 s."""
    return max(AT_ONCE_S, KEEPALIVE_MISSES * KEEPALIVE_JITTER * profile.keepalive_s + REGISTRATION_S)


Notice = Literal["close", "packet", "keepalive", "tcp"]
"""What makes a phone notice: FIN or RST of the server; a refusal of the next packet it sends; missed KeepAlives; TCP giving up."""

_NOTICES: dict[str, Notice] = {
    "stop": "close",
    "kill": "close",
    "restart": "close",
    "reject": "packet",
    "freeze": "keepalive",
    "mute": "keepalive",
    "cut": "tcp",
    "cut-in": "tcp",
    "cut-out": "tcp",
    "link-down": "tcp",
    "power-off": "tcp",
}


def notice_of(kind: str, parameters: Mapping[str, Any]) -> Notice | None:
    """What makes phones notice a fault of their call control, or of the way to it; None where they need not notice it at all.

    An ICMP refusal says nothing to an established connection (RFC 1122, 4.2.3.9: a soft error): TCP has to give up. A call control
    that refuses registrations is noticed by who registers: those it resets do so at once.
    """
    if kind == "register-reject":
        return "close" if parameters.get("reset") else None
    return "tcp" if kind == "reject" and parameters.get("by") == "icmp" else _NOTICES.get(kind)


def failover_budget_s(notice: Notice, profile: Profile) -> tuple[float, float]:
    """Shortest and longest time from a fault's effect to the end of registration at the next call control.

    Sooner than the shortest, something else than this fault was noticed, or the phone gives up too early.
    """
    slack = slack_s(profile)
    if notice == "close":
        return 0.0, AT_ONCE_S
    if notice == "packet":
        return 0.0, profile.keepalive_s + slack
    shortest, longest = profile.freeze_detection_s if notice == "keepalive" else profile.cut_detection_s
    return shortest - EARLY_S, longest + slack


def fallback_budget_s(profile: Profile, token_wait_s: float) -> tuple[float, float]:
    """From healing to the end of registration at the better call control, which is tried every second keepalive interval.

    ``token_wait_s``: what the call control made this phone wait by refusing its token.
    """
    attempt = profile.secondary_keepalive_s + profile.connect_timeout_s
    return 0.0, attempt + token_wait_s + HOST_START_S + slack_s(profile)


def return_budget_s(profile: Profile, call_controls: int) -> float:
    """From the healing of one of so many call controls, all of which were gone, to the end of registration there.

    At worst the phone has just begun to try the others, each up to both of its time-outs, and then makes its longest pause between
    two rounds, twice the reject retry.
    """
    others_s = (call_controls - 1) * (profile.connect_timeout_s + profile.register_timeout_s)
    return others_s + 2 * profile.reject_retry_s + profile.connect_timeout_s + HOST_START_S + slack_s(profile)
