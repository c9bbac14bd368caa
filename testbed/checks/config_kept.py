"""The configuration stays as downloaded: no phone reads its file again because of a fault, and its URLs do not change."""

from __future__ import annotations

import numpy as np

from testbed.checks.base import CheckKind, Params
from testbed.checks.capture import captures
from testbed.checks.facts import MAX_EVIDENCE, Seen, fault_windows, first, seen, some
from testbed.checks.fetches import fetches
from testbed.packets import UDP
from testbed.packets.classes import TFTP_PORT, owned
from testbed.recording import Run
from testbed.topology import Role
from testbed.verdict import Evidence, Status, Verdict

_READ_REQUEST = b"\x00\x01"
_CONFIG_FILES = (b"SEP", b"XMLDefault")


class ConfigKeptParams(Params):
    """No parameters."""


def judge_config_kept(run: Run, params: ConfigKeptParams) -> Verdict:
    """From the beginning of the first fault to the end of the run."""
    check = "config-kept"
    windows = fault_windows(run)
    reads = _reads(run)
    unread = [phone for phone in run.topology.phones if phone not in reads]
    if not run.topology.phones or not windows or unread:
        reason = "no fault was confirmed" if not windows else f"no configuration was read by {some(unread)}"
        reason = reason if run.topology.phones else "the bed has no phones"
        return Verdict(check=check, status=Status.INCONCLUSIVE, summary=reason)
    began_s = min(window.began_s for window in windows)
    again = [
        event.proves(f"{event['phone']} asked for {event['file']} again")
        for event in seen(run, "ConfigRead", "ConfigFailed", since_s=began_s)
    ]
    requests, vantages = _requests(run, began_s)
    changed = [*_changed_tables(run), *_changed_urls(run, began_s)]
    wrong = [*again, *requests, *changed]
    figures = {"reads": float(len(again)), "requests": float(len(requests)), "changed": float(len(changed))}
    if wrong:
        summary = f"{len(wrong)} signs of a new configuration: {wrong[0].text}"
        return Verdict(check=check, status=Status.FAIL, summary=summary, evidence=first(wrong), figures=figures)
    proof = tuple(
        events[-1].proves(f"{phone} read {events[-1]['file']}, the last time") for phone, events in reads.items()
    )
    if not vantages:
        summary = "no capture at phones or TFTP server shows whether a configuration was asked for"
        return Verdict(check=check, status=Status.INCONCLUSIVE, summary=summary, figures=figures)
    summary = f"{len(reads)} phones kept the URLs they had; no request in the captures at {', '.join(vantages)}"
    return Verdict(check=check, status=Status.PASS, summary=summary, evidence=first(proof), figures=figures)


def _reads(run: Run) -> dict[str, list[Seen]]:
    reads: dict[str, list[Seen]] = {}
    for event in seen(run, "ConfigRead"):
        reads.setdefault(str(event["phone"]), []).append(event)
    return reads


def _changed_tables(run: Run) -> list[Evidence]:
    """Phones whose later configuration has other URLs than the first one they read."""
    return [
        event.proves(f"{phone} has other URLs than it read at first")
        for phone, events in _reads(run).items()
        for event in events[1:]
        if event["urls"] != events[0]["urls"]
    ]


def _changed_urls(run: Run, began_s: float) -> list[Evidence]:
    """Fetches of a phone's own URL that went to another address than before the fault."""
    before: dict[tuple[str, str], set[str]] = {}
    found = []
    for fetch in fetches(run):
        key = (fetch.phone, fetch.name)
        if fetch.name == "page":
            continue
        if fetch.ended_s < began_s:
            before.setdefault(key, set()).add(fetch.url)
        elif key in before and fetch.url not in before[key]:
            found.append(fetch.seen.proves(f"{fetch.phone} {fetch.name} now is {fetch.url}"))
    return found


def _requests(run: Run, began_s: float) -> tuple[list[Evidence], list[str]]:
    """TFTP read requests for configuration files since the fault began, and where they would have been seen."""
    phones = run.topology.with_role(Role.PHONE)
    vantages = {host.name for host in (*phones, *run.topology.with_role(Role.TFTP_SERVER))}
    found: list[Evidence] = []
    looked = []
    for host, packets in captures(run).items():
        if host not in vantages:
            continue
        looked.append(host)
        mask = (
            (packets.proto == UDP)
            & (packets.dport == TFTP_PORT)
            & (packets.time_s >= began_s)
            & owned(packets.src, phones)
        )
        for index in np.flatnonzero(mask).tolist():
            payload = packets.payload(index)
            if payload.startswith(tuple(_READ_REQUEST + name for name in _CONFIG_FILES)):
                name = payload[2:].partition(b"\x00")[0].decode("ascii", errors="replace")
                found.append(
                    Evidence(text=f"request for {name}", capture=packets.file, frame=int(packets.frame[index]))
                )
    return found[: 10 * MAX_EVIDENCE], looked


CONFIG_KEPT = CheckKind(
    name="config-kept",
    params=ConfigKeptParams,
    judge=judge_config_kept,
    help="no phone read its configuration again: its URLs stay as downloaded",
)
