"""Which events of a history are marks of a timeline: their sorts, their forms, and what is said of them."""

from __future__ import annotations

from testbed.checks.facts import Seen
from testbed.report.markup import Html, tag

SORTS = {
    "reg": "registered",
    "host": "host, role or server",
    "loss": "call control lost",
    "step": "step of the scenario",
    "rehome": "re-homed",
    "call": "call, media or push",
    "error": "HTTP error",
}
"""In the order in which they lie in a lane: what comes at one moment (lost, registered, re-homed) is not next to each other."""
_CALLS = "CallBegun CallConnected CallEnded MediaStarted MediaFailed MediaHeldUp PushExecuted PushRefused PushFailed"
_STEPS = "StepsStarted StepStarted StepsEnded FactSeen FactMissed SteadyStateReached SteadyStateMissed"
_SORT_OF = {
    **dict.fromkeys(("Registered", "PhoneRegistered"), "reg"),
    **dict.fromkeys(
        ("CallControlLost", "Unregistered", "RegisterRejected", "TokenRefused", "KeepaliveMissed", "PhoneUnregistered"),
        "loss",
    ),
    "Rehomed": "rehome",
    **dict.fromkeys(("UrlFailed", "PageFailed", "ConfigFailed"), "error"),
    **dict.fromkeys(_CALLS.split(), "call"),
    **dict.fromkeys(
        ("RoleStarted", "RoleEnded", "RoleFaultBegan", "RoleFaultEnded", "LinePrinted", "LogUnreadable"), "host"
    ),
    **dict.fromkeys(_STEPS.split(), "step"),
}
_TELLING = (
    "phone",
    "at",
    "from",
    "to",
    "cause",
    "status",
    "error",
    "url",
    "path",
    "action",
    "fact",
    "when",
    "line",
    "kind",
    "target",
)


def sort_of(event: Seen) -> str | None:
    """What kind of mark it is; None where it is not drawn."""
    name = event.event.name
    if name == "PageServed":
        status = event["status"]
        return "error" if isinstance(status, int) and status >= 400 else None
    return _SORT_OF.get(name)


def words_of(event: Seen) -> str:
    """Its name and what tells it from others."""
    values = ((word, event[word]) for word in _TELLING)
    said = " ".join(f"{word} {str(value)[:80]}" for word, value in values if value not in (None, ""))
    return f"{event.event.name} {said}".strip()


def shape(sort: str, x: float, y: float) -> Html:
    """A mark that is told by its form as well as by its colour, 8 pixels large with its top at y."""
    if sort in ("loss", "error"):
        base, point = (y, y + 8) if sort == "loss" else (y + 8, y)
        return tag("polygon", points=f"{x - 4:g},{base:g} {x + 4:g},{base:g} {x:g},{point:g}", class_=sort)
    if sort == "rehome":
        points = f"{x:g},{y - 1:g} {x + 5:g},{y + 4:g} {x:g},{y + 9:g} {x - 5:g},{y + 4:g}"
        return tag("polygon", points=points, class_=sort)
    if sort in ("reg", "call"):
        return tag("circle", cx=x, cy=y + 4, r=3.5, class_=sort)
    return tag("rect", x=x - 1.5, y=y, width=3, height=8, class_=sort)
