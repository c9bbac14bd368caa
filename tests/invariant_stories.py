"""A run in which every invariant holds while faults are about: phones re-home, requests move to the hot standby and back."""

from __future__ import annotations

import stories
from recordings import ADDRESSES, PHONE_ADDRESSES, PHONES, SERVICES_VIP, Connection, Recording
from stories import BEGAN_S, HEALING_S

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
LOST_S = BEGAN_S + 0.02
"""When the phones notice that ccm-1 was killed; 0.2 s later they are at ccm-bk."""
BACK_S = HEALING_S + 1.5


def restless(kind: str = "kill") -> Recording:
    """ccm-1 fails, phones go to ccm-bk and come back; a request of each phone every half second, all the while answered by web-1."""
    recording = stories.rehome(kind)
    for phone in PHONES:
        recording.event(0.99, "ccm-1", "PhoneRegistered", phone=phone)
    for index, phone in enumerate(PHONES):
        lost_s = BEGAN_S + stories.DETECTION_S[kind] + index * 0.01
        recording.event(lost_s + 0.19, "ccm-bk", "PhoneRegistered", phone=phone)
        contact_s = HEALING_S + 1.5 + index * 0.1
        recording.event(contact_s + 0.105, "ccm-bk", "PhoneUnregistered", phone=phone, cause="unregister")
        recording.event(contact_s + 0.19, "ccm-1", "PhoneRegistered", phone=phone)
    recording.event(HEALING_S + 0.3, "ccm-1", "RoleStarted", role="call-control")
    requests(recording)
    recording.events.sort(key=lambda event: event.time_s)
    return recording


def requests(recording: Recording, *, by: str = "web-1", status: int = 200) -> None:
    """From 2.5 s to 12 s."""
    for index in range(len(PHONES)):
        for half in range(5, 24):
            asked(recording, half / 2 + 0.02 + index * 0.1, index, by=by, status=status)


def asked(
    recording: Recording, at_s: float, phone: int, *, by: str = "web-1", status: int = 200, path: str = "/text"
) -> None:
    """One request of a phone: as its own NIC sees it, and as the SLB sees what it asks of whom."""
    port = 20_000 + round(at_s * 100) * 2 + phone
    answer = OK.replace(b"200 OK", str(status).encode() + b" X")
    ask = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    outer = Connection(
        wires=[recording.wires["phones-1"], recording.wires["slb"]],
        client=(PHONE_ADDRESSES[phone], port),
        server=(SERVICES_VIP, 80),
    )
    inner = Connection(wires=[recording.wires["slb"]], client=(ADDRESSES["slb"], port), server=(ADDRESSES[by], 80))
    outer.open(at_s)
    outer.send(at_s + 0.001, ask, up=True)
    inner.open(at_s + 0.002)
    inner.send(at_s + 0.003, ask, up=True)
    inner.send(at_s + 0.004, answer, up=False)
    outer.send(at_s + 0.005, answer, up=False)
    inner.close(at_s + 0.006, up=False)
    outer.close(at_s + 0.006, up=False)
