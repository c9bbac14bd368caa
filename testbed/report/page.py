"""The page: its head, its parts in order, each drawn by itself. A part that cannot be drawn says so and keeps none of the others away."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files

from testbed.plugins import guarded
from testbed.report.bed_part import bed
from testbed.report.commands import commands, versions
from testbed.report.ladder_part import sccp
from testbed.report.mark_part import marks
from testbed.report.markup import Html, joined, tag
from testbed.report.media_part import media
from testbed.report.reading import Told
from testbed.report.rehome_part import rehomes
from testbed.report.request_part import requests
from testbed.report.timeline_part import timeline
from testbed.report.verdict_part import badge, overall, verdicts


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A section: its anchor, its heading, and what draws it (None where a run has nothing of the kind)."""

    anchor: str
    heading: str
    draw: Callable[[Told], Html | None]


PARTS = (
    Part(anchor="verdicts", heading="Verdicts", draw=verdicts),
    Part(anchor="bed", heading="The bed", draw=bed),
    Part(anchor="timeline", heading="Timeline", draw=timeline),
    Part(anchor="rehomes", heading="Re-home times", draw=rehomes),
    Part(anchor="requests", heading="Requests", draw=requests),
    Part(anchor="marks", heading="Marks", draw=marks),
    Part(anchor="media", heading="Media", draw=media),
    Part(anchor="sccp", heading="SCCP", draw=sccp),
    Part(anchor="commands", heading="Repeat it", draw=commands),
    Part(anchor="versions", heading="Versions", draw=versions),
)


def page(told: Told) -> str:
    """The whole file."""
    drawn = [(part, _drawn(part, told)) for part in PARTS]
    shown = [(part, content) for part, content in drawn if content is not None]
    contents = tag(
        "nav",
        tag("ul", [tag("li", tag("a", part.heading, href=f"#{part.anchor}")) for part, _ in shown]),
        aria_label="Contents",
    )
    sections = [
        tag(
            "section",
            tag("h2", part.heading, id=f"{part.anchor}-head"),
            content,
            id=part.anchor,
            aria_labelledby=f"{part.anchor}-head",
        )
        for part, content in shown
    ]
    body = tag(
        "body",
        tag("a", "Skip to the verdicts", href="#verdicts", class_="skip"),
        tag("header", _head(told), contents),
        tag("main", _missing(told), sections),
        _script(),
    )
    return "<!doctype html>\n" + tag("html", _meta(told), body, lang="en") + "\n"


def _drawn(part: Part, told: Told) -> Html | None:
    def otherwise(said: str) -> Html | None:
        return tag("p", f"This part could not be drawn: {said}", class_="note broken")

    return guarded(part.draw, otherwise)(told)


def _head(told: Told) -> Html:
    scenario = told.scenario
    facts = [
        f"profile {scenario['profile']}" if scenario.get("profile") else "",
        f"{scenario['phones']} phones" if scenario.get("phones") is not None else "",
        datetime.fromtimestamp(told.zero_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if 0 < told.zero_s < 2**37 else "",
        f"{told.end_s - told.begin_s:.1f} s recorded",
    ]
    description = " ".join(str(scenario.get("description") or "").split())
    return joined(
        tag("h1", tag("span", told.name), " ", badge(overall(told))),
        tag("p", description, class_="lead") if description else None,
        tag("p", " · ".join(fact for fact in facts if fact), class_="facts"),
        tag("p", tag("code", told.run.path.name), class_="facts"),
    )


def _missing(told: Told) -> Html | None:
    if not told.missing:
        return None
    return tag(
        "section",
        tag("h2", "What is missing", id="missing-head"),
        tag("ul", [tag("li", line) for line in told.missing]),
        class_="missing",
        id="missing",
        aria_labelledby="missing-head",
    )


@cache
def _asset(name: str) -> str:
    return files("testbed.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _meta(told: Told) -> Html:
    """Nothing but our own style and script may run, and nothing may be fetched: the file is of one piece."""
    policy = f"default-src 'none'; style-src {_hash(_asset('report.css'))}; script-src {_hash(_asset('report.js'))}; "
    status = overall(told)
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy + "base-uri 'none'; form-action 'none'"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{status.name if status is not None else 'not judged'}: {told.name}"),
        Html(f"<style>{_asset('report.css')}</style>"),
    )


def _script() -> Html:
    return Html(f"<script>{_asset('report.js')}</script>")
