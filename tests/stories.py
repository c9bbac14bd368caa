"""Runs in which everything is as it should be, put down by hand; see recordings."""

from __future__ import annotations

from typing import Any

from recordings import (
    ADDRESSES,
    AF31_TOS,
    PHONE_ADDRESSES,
    PHONES,
    SERVICES_VIP,
    T0,
    Connection,
    Recording,
    bed,
    sccp,
)

REGISTER, REGISTER_ACK, KEEPALIVE, KEEPALIVE_ACK = 0x0001, 0x0081, 0x0000, 0x0100
DEFINE_TIME_DATE = 0x0094
VIP = ADDRESSES["slb"]
URLS = {
    "services": f"http://{VIP}/CCMCIP/getservicesmenu.asp",
    "directory": f"http://{VIP}/CCMCIP/xmldirectory.asp",
    "information": f"http://{VIP}/CCMCIP/GetTelecasterHelpText.asp",
    "messages": f"http://{VIP}/CCMCIP/messages.asp",
    "authentication": f"http://{VIP}/CCMCIP/authenticate.asp",
    "idle": f"http://{SERVICES_VIP}/idle",
    "proxy": f"{ADDRESSES['proxy']}:8080",
}
PAGE = f"http://{SERVICES_VIP}/text"

BEGAN_S, HEALING_S = 4.0, 9.0
"""When the one fault of every story begins, and when its healing does."""
END_S = 14.0
DETECTION_S = {"stop": 0.012, "kill": 0.012, "freeze": 2.6, "mute": 2.6, "cut": 1.6}
"""From the command to the loss: plausible for the class of failure with the timers of profile quick."""


def registered(recording: Recording, at_s: float, phone: str, at: str, rank: int, **more: Any) -> None:
    recording.event(at_s - 0.05, "phones-1", "CallControlConnected", phone=phone, to=at, rank=rank, state="active")
    recording.event(
        at_s, "phones-1", "Registered", phone=phone, at=at, rank=rank, duration_s=0.05, keepalive_s=1, **more
    )


def booted(*, phones: int = len(PHONES), urls: dict[str, str] | None = None) -> Recording:
    """Every phone read its configuration and is registered at ccm-1; captures at phones-1 and slb run; no fault."""
    recording = Recording(bed(phones=phones))
    for phone in recording.topology.phones:
        recording.event(
            0.5,
            "phones-1",
            "ConfigRead",
            phone=phone,
            file=f"{phone}.cnf.xml",
            duration_s=0.01,
            urls=URLS if urls is None else urls,
            call_controls=["ccm-1", "ccm-bk"],
        )
        registered(recording, 1.0, phone, "ccm-1", 0)
    recording.steps(2.0, 13.0)
    recording.capture("phones-1", until_s=END_S)
    recording.capture("slb", until_s=END_S)
    return recording


def signalling(recording: Recording, phone: int, to: str, port: int) -> Connection:
    """A phone's SCCP connection as the capture at phones-1 sees it."""
    return Connection(
        wires=[recording.wires["phones-1"]],
        client=(PHONE_ADDRESSES[phone], port),
        server=(ADDRESSES[to], 2000),
        client_tos=AF31_TOS,
        server_tos=AF31_TOS,
    )


def keepalives(connection: Connection, begin_s: float, end_s: float) -> None:
    """One a second, answered after 2 ms."""
    at_s = begin_s
    while at_s < end_s:
        connection.send(at_s, sccp(KEEPALIVE), up=True)
        connection.send(at_s + 0.002, sccp(KEEPALIVE_ACK), up=False)
        at_s += 1.0


def session(
    recording: Recording,
    phone: int,
    to: str,
    port: int,
    begin_s: float,
    end_s: float,
    *,
    registered_s: float | None = None,
) -> Connection:
    """Open, register (until then, or at once), and keep alive until the end."""
    connection = signalling(recording, phone, to, port)
    connection.open(begin_s)
    connection.send(begin_s + 0.01, sccp(REGISTER, bytes(52)), up=True)
    connection.send(begin_s + 0.02, sccp(REGISTER_ACK, bytes(20)), up=False)
    last_s = begin_s + 0.03 if registered_s is None else registered_s - 0.001
    connection.send(last_s, sccp(DEFINE_TIME_DATE, bytes(36)), up=False)
    keepalives(connection, begin_s + 1.0, end_s)
    return connection


def rehome(kind: str = "kill") -> Recording:
    """ccm-1 fails, both phones go to ccm-bk, ccm-1 is healed, both come back."""
    recording = booted()
    recording.fault(kind, "ccm-1", BEGAN_S, HEALING_S)
    for index in range(len(PHONES)):
        failed_over(recording, index, kind)
    servers(recording, 13.3, "after")
    return recording


def failed_over(recording: Recording, index: int, kind: str) -> None:
    """One phone's way to ccm-bk and back, with its packets."""
    phone, lost_s = PHONES[index], BEGAN_S + DETECTION_S[kind] + index * 0.01
    recording.event(
        lost_s,
        "phones-1",
        "CallControlLost",
        phone=phone,
        at="ccm-1",
        cause="reset" if kind in ("stop", "kill") else "keepalive",
        last_answered_s=T0 + BEGAN_S - 0.5,
        state="active",
    )
    recording.event(
        lost_s + 0.2, "phones-1", "Registered", phone=phone, at="ccm-bk", rank=1, duration_s=0.2, keepalive_s=1
    )
    _moved(recording, lost_s + 0.201, phone, "ccm-1", "ccm-bk", "failover")
    before = session(recording, index, "ccm-1", 50_000 + index, 0.9, BEGAN_S)
    if kind in ("stop", "kill"):
        before.close(BEGAN_S + 0.01, up=False)
    else:
        before.send(BEGAN_S + 0.9, sccp(KEEPALIVE), up=True)
    session(recording, index, "ccm-bk", 51_000 + index, lost_s + 0.1, HEALING_S, registered_s=lost_s + 0.2)
    _return(recording, index, phone)


def _return(recording: Recording, index: int, phone: str) -> None:
    contact_s = HEALING_S + 1.5 + index * 0.1
    event = {"phone": phone, "rank": 0, "state": "standby"}
    recording.event(contact_s, "phones-1", "CallControlConnected", to="ccm-1", **event)
    recording.event(contact_s + 0.1, "phones-1", "TokenGranted", phone=phone, at="ccm-1")
    recording.event(contact_s + 0.11, "phones-1", "Unregistered", phone=phone, at="ccm-bk", reason="fallback")
    recording.event(
        contact_s + 0.2, "phones-1", "Registered", phone=phone, at="ccm-1", rank=0, duration_s=0.09, keepalive_s=1
    )
    _moved(recording, contact_s + 0.201, phone, "ccm-bk", "ccm-1", "fallback")
    session(recording, index, "ccm-1", 52_000 + index, contact_s, END_S - 1, registered_s=contact_s + 0.2)


def _moved(recording: Recording, at_s: float, phone: str, origin: str, to: str, direction: str) -> None:
    recording.event(at_s, "phones-1", "Rehomed", phone=phone, to=to, direction=direction, **{"from": origin})


def answered(recording: Recording, at_s: float, phone: str, name: str, url: str, by: str, **more: Any) -> None:
    particulars = {"status": 200, "elapsed_s": 0.01, "via": "direct", "content": "CiscoIPPhoneText", **more}
    recording.event(
        at_s, "phones-1", "UrlAnswered", phone=phone, url_name=name, url=url, method="GET", served_by=by, **particulars
    )


def failed(recording: Recording, at_s: float, phone: str, name: str, url: str, error: str = "refused") -> None:
    recording.event(
        at_s,
        "phones-1",
        "UrlFailed",
        phone=phone,
        url_name=name,
        url=url,
        method="GET",
        error=error,
        elapsed_s=0.01,
        via="direct",
    )


def pressed(
    recording: Recording, at_s: float, dead: tuple[str, ...] = (), by: str = "ccm-1", web: str = "web-1"
) -> None:
    """Every phone fetched each of its URLs; ``dead`` ones failed."""
    urls = next((event["urls"] for event in recording.events if event.name == "ConfigRead"), URLS)
    recording.event(at_s, "testbed", "StepStarted", step=0, action="press")
    for phone in recording.topology.phones:
        for place, (name, table_url) in enumerate(urls.items()):
            url = "http://outside-web/" if name == "proxy" else table_url
            server = {"idle": web, "proxy": "outside-web"}.get(name, by)
            if name in dead:
                failed(recording, at_s + 0.1 + place * 0.01, phone, name, url)
            else:
                answered(recording, at_s + 0.1 + place * 0.01, phone, name, url, server)


def urls_with_slb() -> Recording:
    """ccm-1 dies; every URL points at a VIP and goes on working."""
    recording = rehome("kill")
    pressed(recording, 2.5)
    pressed(recording, 6.0, by="ccm-bk")
    pressed(recording, 12.0)
    return recording


CM_URLS = ("services", "directory", "information", "messages", "authentication")


def urls_without_slb() -> Recording:
    """ccm-1 dies; the URLs that name it die with it."""
    recording = rehome("kill")
    direct = {name: url.replace(f"//{VIP}/", f"//{ADDRESSES['ccm-1']}/") for name, url in URLS.items()}
    direct["idle"] = f"http://{ADDRESSES['web-1']}/idle"
    recording.change("ConfigRead", urls=direct)
    pressed(recording, 2.5)
    pressed(recording, 6.0, dead=CM_URLS)
    pressed(recording, 12.0)
    return recording


def browse(recording: Recording, at_s: float, phone: int, by: str, *, elapsed_s: float = 0.01, port: int = 0) -> None:
    """One request through the SLB, with the packets between SLB and server."""
    answered(recording, at_s, PHONES[phone], "page", PAGE, by, elapsed_s=elapsed_s)
    wire = recording.wires["slb"]
    connection = Connection(
        wires=[wire], client=(VIP, port or 40_000 + round(at_s * 100) % 20_000), server=(ADDRESSES[by], 80)
    )
    connection.open(at_s - elapsed_s)
    connection.send(at_s - 0.005, b"GET /text HTTP/1.1\r\nHost: x\r\n\r\n", up=True)
    connection.send(at_s - 0.002, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", up=False)
    connection.close(at_s - 0.001, up=False)


def health_check(recording: Recording, at_s: float, of: str) -> None:
    """The SLB's own question, which is no redirection."""
    connection = Connection(
        wires=[recording.wires["slb"]], client=(VIP, 30_000 + round(at_s * 10)), server=(ADDRESSES[of], 80)
    )
    connection.open(at_s)
    connection.send(at_s + 0.001, b"GET /health HTTP/1.1\r\n\r\n", up=True)
    connection.send(at_s + 0.002, b"HTTP/1.1 200 OK\r\n\r\nok", up=False)


def standby(kind: str = "kill") -> Recording:
    """web-1 goes and comes back; web-2 answers meanwhile; SCCP sessions do not notice. Server states are recorded."""
    recording = booted()
    recording.fault(kind, "web-1", BEGAN_S, HEALING_S)
    for index in range(len(PHONES)):
        session(recording, index, "ccm-1", 50_000 + index, 0.9, END_S - 1)
        for tenth in range(25, 120, 5):
            at_s = tenth / 10 + 0.02 + index * 0.1
            browse(recording, at_s, index, "web-2" if BEGAN_S <= at_s < HEALING_S else "web-1")
    for second in range(2, 12):
        health_check(recording, second + 0.5, "web-2")
    servers(recording, 1.9, "before")
    servers(recording, 13.3, "after")
    return recording


def servers(recording: Recording, at_s: float, when: str, **down: str) -> None:
    """What the SLB says of its servers; ``web_1="DOWN"`` says otherwise."""
    for backend, names in (("call-managers", ("ccm-1", "ccm-bk")), ("phone-services", ("web-1", "web-2"))):
        for server in names:
            status = down.get(server.replace("-", "_"), "UP")
            recording.event(
                at_s, "testbed", "SlbState", slb="slb", when=when, backend=backend, server=server, status=status
            )
