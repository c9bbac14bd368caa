"""`testbed audit`: captures in, a description or verdicts out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import show
from testbed.audit import report
from testbed.audit.folders import captures_of
from testbed.audit.judge import judge, nearest, numbered
from testbed.audit.merge import Merge
from testbed.audit.request import Request
from testbed.audit.survey import Survey, Surveyor
from testbed.audit.timeline import Timekeeper
from testbed.audit.trace import MAX_PACKETS
from testbed.errors import EXIT_CHECK_FAILED, EXIT_INCONCLUSIVE, EXIT_NOTHING_RAN, EXIT_OK, UsageError
from testbed.packets.file import open_capture
from testbed.verdict import Status, Verdict, worst
from testbed.written import check_target, create, replace

if TYPE_CHECKING:
    from testbed.audit.compare import Comparison
    from testbed.audit.judge import Likeness
    from testbed.audit.ladder import Ladders
    from testbed.policy import Policy

_EXITS = {Status.PASS: EXIT_OK, Status.FAIL: EXIT_CHECK_FAILED, Status.INCONCLUSIVE: EXIT_INCONCLUSIVE}


def run(asked: Request) -> int:
    """Read, print, and say by the exit status: without a policy 0 (5 where there was no packet, or nothing to learn), with one as its
    verdicts are. Files come last: one that cannot be written costs nothing that was found, and is written also where nothing can be
    printed."""
    chosen = None if asked.policy_name is None else _policy(asked.policy_name)
    found = _followed(asked, chosen) if asked.follow else _read(asked, chosen)
    verdicts = judge(found) if chosen else []
    likeness = None if chosen else nearest(found)
    try:
        _tell(asked, found, verdicts, likeness)
    finally:
        is_learned = _keep(asked, found, verdicts, likeness, policy=chosen.name if chosen else "")
    if chosen:
        return _EXITS[worst(verdict.status for verdict in verdicts)]
    return EXIT_OK if found.packets and is_learned else EXIT_NOTHING_RAN


def _tell(asked: Request, found: Survey, verdicts: list[Verdict], likeness: Likeness | None) -> None:
    if asked.output == "table":
        _print(found, verdicts)
        if asked.policy_name is None:
            for line in report.likeness_lines(likeness):
                show.note(line)
    elif asked.output == "junit":
        _print_junit(verdicts, asked)
    else:
        show.rows(list(report.records(found, verdicts, likeness)), asked.output)
    _warn(found)


def _keep(
    asked: Request, found: Survey, verdicts: Sequence[Verdict], likeness: Likeness | None, *, policy: str
) -> bool:
    """The files that are asked for; False where one was a policy, and there was nothing to learn."""
    try:
        return _learn(found, asked.learn) if asked.learn else True
    finally:
        if asked.html:
            from testbed.audit.html_report import survey_page

            _write(asked.html, survey_page(found, verdicts, likeness, policy=policy, ladders=_ladders(asked)))


def _read(asked: Request, chosen: Policy | None) -> Survey:
    surveyor = Surveyor(chosen, Timekeeper() if asked.html else None)
    surveyor.read_merged(asked.files)
    return surveyor.survey(list_flows=asked.list_flows)


def _followed(asked: Request, chosen: Policy | None) -> Survey:
    from testbed.audit.follow import follow

    for_s = _length_s(asked.for_) if asked.for_ is not None else None
    return follow(asked, chosen, for_s)


def _length_s(text: str) -> float:
    from testbed.duration import parse_duration
    from testbed.profile import PROFILES

    try:
        duration = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--for {text}: {error}", hint="for example --for 30s") from None
    if not duration.amount or duration.unit not in ("ms", "s", "min"):
        raise UsageError(f"--for {text}: must be a time in ms, s or min", hint="for example --for 30s")
    return duration.seconds(PROFILES["quick"])


def run_hops(asked: Request) -> int:
    """The files are captures along a way, in this order. Without a policy the exit status is 0 (5 where no packet is in two of them)."""
    from testbed.audit.compare import compare, judge_comparison

    if asked.learn:
        raise UsageError("--learn takes captures of one place", hint="leave --hops out")
    if asked.follow:
        raise UsageError("--hops compares captures that are whole", hint="follow one of them without --hops")
    if len(asked.files) < 2:
        raise UsageError("--hops compares captures", hint="give two or more, in the order in which packets pass them")
    chosen = None if asked.policy_name is None else _policy(asked.policy_name)
    found = compare((open_capture(path) for path in asked.files), chosen, over_time=asked.html is not None)
    verdicts = judge_comparison(found) if chosen else []
    if asked.output == "table":
        _print_hops(found, verdicts)
    elif asked.output == "junit":
        _print_junit(verdicts, asked)
    else:
        records = [{"kind": "hop", **report.hop_row(hop)} for hop in found.hops]
        records += [{"kind": "apart", **report.apart_row(apart)} for apart in found.apart]
        show.rows([*records, *map(report.verdict_record, verdicts)], asked.output)
    for one, two, hops in found.pairs:
        if not hops:
            show.warning(f"no packet is in both {one} and {two}")
    for file in found.cut:
        show.warning(f"{file}: only the first {MAX_PACKETS} packets were compared")
    for _, survey_ in found.surveys:
        _warn(survey_)
    if asked.html:
        from testbed.audit.html_report import comparison_page

        _write(asked.html, comparison_page(found, verdicts, policy=chosen.name if chosen else ""))
    if chosen:
        return _EXITS[worst(verdict.status for verdict in verdicts)]
    return EXIT_OK if found.hops else EXIT_NOTHING_RAN


def _ladders(asked: Request) -> Ladders | None:
    """Of what can be read a second time: neither standard input nor what is followed. Connections go on over the ends of files."""
    from testbed.audit.ladder import ladders_of

    if asked.follow or not all(path.is_file() for path in asked.files):
        return None
    files: list[str] = []
    return ladders_of(Merge(asked.files, lambda reading: files.append(reading.file)).blocks(), files=files)


def _print_hops(found: Comparison, verdicts: Sequence[Verdict]) -> None:
    from testbed.audit.compare import remark_lines

    if found.hops:
        show.table([report.hop_row(hop) for hop in found.hops], "")
    for line, _, _ in remark_lines(found.hops) if not verdicts else ():
        show.note(line)
    for line in report.apart_lines(found.apart):
        show.note(line)
    _print_verdicts(verdicts)


def _print_junit(verdicts: Sequence[Verdict], asked: Request) -> None:
    from testbed.audit.junit import junit

    show.note(junit(verdicts, suite=f"testbed audit --policy {asked.policy_name}").rstrip())


def _learn(found: Survey, file: Path) -> bool:
    """Whether there was anything to learn."""
    from testbed.audit.learn import learned

    text = learned(found)
    if text is None:
        show.warning(f"nothing is learned, {file} is not written: no packet is of a class that a policy names")
        return False
    create(file, text)
    show.say(f"written: {file}")
    show.say(f"next: `testbed audit PCAP --policy {file}` judges by it")
    return True


def _write(file: Path, text: str) -> None:
    replace(file, text)
    show.say(f"written: {file}")


def run_ladder(file: Path, *, device: str | None, keepalives: bool, output: str, svg: Path | None = None) -> int:
    """Every SCCP connection of a capture, or those of one phone; exit status 5 where there is none. ``svg``: a file for the picture."""
    from testbed.audit.ladder import ladders, lines, of_device

    (path,) = captures_of([file])
    if svg:
        check_target(svg, "SVG")
    capture = open_capture(path)
    found = ladders(capture)
    chosen = list(found.every) if device is None else of_device(found.every, device)
    if output == "table":
        for place, ladder in enumerate(chosen):
            if place:
                show.note("")
            for line in lines(ladder, keepalives=keepalives):
                show.note(line)
    else:
        show.rows([row for ladder in chosen for row in report.ladder_rows(ladder, keepalives=keepalives)], output)
    if not chosen:
        show.say("no SCCP connection in this capture")
    if found.cut:
        show.warning("the capture has more SCCP than is shown")
    if capture.damage or capture.truncated:
        show.warning(
            f"{capture.file} was read up to frame {capture.frames}: {capture.damage or 'it ends inside a record'}"
        )
    if svg:
        from testbed.audit.ladder_svg import document

        _write(svg, document(chosen, keepalives=keepalives))
    return EXIT_OK if chosen else EXIT_NOTHING_RAN


def _policy(name: str) -> Policy:
    """Its reader is loaded only where there is something to read: it takes longer than a small capture."""
    from testbed.policy import policy

    return policy(name)


def _print(found: Survey, verdicts: Sequence[Verdict]) -> None:
    seconds = [
        (one.began_s, one.ended_s) for one in found.sources if one.began_s is not None and one.ended_s is not None
    ]
    length_s = max(end for _, end in seconds) - min(begin for begin, _ in seconds) if seconds else 0.0
    if found.groups:
        title = f"{numbered(found.packets, 'packet')} in {numbered(len(found.sources), 'file')}, {length_s:.3f} s"
        show.table([report.group_row(group) for group in found.groups], title)
    if found.flows:
        show.note("")
        show.table([report.flow_row(flow) for flow in found.flows], "flows")
    _print_verdicts(verdicts)


def _print_verdicts(verdicts: Sequence[Verdict]) -> None:
    if verdicts:
        show.note("")
        show.table([report.verdict_row(verdict) for verdict in verdicts], "")


def _warn(found: Survey) -> None:
    """Of what was not read, and what is odd."""
    for source in found.sources:
        for line in report.source_lines(source):
            show.warning(line)
