"""A run for every kind of fault, by hand, in which the fault happens as it should, does nothing at all, or goes on after its healing."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal

from probe_wire import Links, Out, Packet, Prober
from recordings import ADDRESSES, PHONE_ADDRESSES, T0, Connection, Recording, sccp

from testbed.dscp import AF31, CS3, tos_of
from testbed.faults import fault_of
from testbed.faults.base import Fault
from testbed.packets import ACK, RST, SYN

BEGAN_S, EFFECT_S, HEALING_S, HEALED_S, END_S = 4.0, 4.05, 9.0, 9.05, 14.0
"""Command, confirmation, healing, its confirmation, end of the captures."""

Variant = Literal["real", "no-op", "broken revert"]
VARIANTS: tuple[Variant, ...] = ("real", "no-op", "broken revert")
Active = Callable[[float], bool]


def active(variant: Variant) -> Active:
    """When the fault hits."""
    begin_s, end_s = {
        "real": (EFFECT_S - 0.01, HEALED_S - 0.01),
        "no-op": (1e9, 1e9),
        "broken revert": (EFFECT_S - 0.01, 1e9),
    }[variant]
    return lambda at_s: begin_s <= at_s < end_s


def begun(kind: str, at: str, *hosts: str, healing_s: float = HEALING_S, **parameters: Any) -> Recording:
    """A run with this fault on record, and captures at these hosts."""
    recording = Recording()
    recording.steps(2.0, 13.0)
    for host in hosts:
        recording.capture(host, until_s=END_S)
    recording.fault(kind, at, BEGAN_S, healing_s, hosts=hosts, **parameters)
    return recording


# -- a host's workload, seen by the SLB's health checks


def asked(recording: Recording, host: str, mode: Callable[[float], str], *, path: str = "/health") -> None:
    """The SLB asks this host every 300 ms; ``mode``: alive, gone, silent, error or slow."""
    for number in range(40):
        at_s = 1.0 + number * 0.3
        connection = Connection(
            wires=[recording.wires[host]], client=(ADDRESSES["slb"], 30_000 + number), server=(ADDRESSES[host], 80)
        )
        exchange(connection, at_s, mode(at_s), path)


def exchange(connection: Connection, at_s: float, mode: str, path: str) -> None:
    """One request on a connection of its own."""
    connection.packet(at_s, up=True, flags=SYN)
    if mode == "gone":
        connection.server_seq = 0
        connection.packet(at_s + 0.0001, up=False, flags=RST | ACK)
        return
    connection.packet(at_s + 0.0001, up=False, flags=SYN | ACK)
    connection.packet(at_s + 0.0002, up=True)
    connection.send(at_s + 0.0003, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), up=True)
    connection.packet(at_s + 0.0004, up=False)
    if mode == "silent":
        connection.close(at_s + 0.25, up=True)
        connection.packet(at_s + 0.2501, up=False)
        return
    status = 503 if mode == "error" else 200
    answer_s = at_s + (0.5 if mode == "slow" else 0.001)
    connection.send(answer_s, f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode(), up=False)
    connection.close(answer_s + 0.0001, up=False)


def workload(kind: str, mode: str) -> Callable[[Variant], Recording]:
    def story(variant: Variant) -> Recording:
        recording, hit = begun(kind, "web-1", "web-1"), active(variant)
        asked(recording, "web-1", lambda at_s: mode if hit(at_s) else "alive")
        return recording

    return story


def restart(variant: Variant) -> Recording:
    """Gone for 400 ms."""
    recording = begun("restart", "web-1", "web-1", healing_s=4.6)
    gone_s = {"real": (4.0, 4.7), "no-op": (1e9, 1e9), "broken revert": (4.0, 1e9)}[variant]
    asked(recording, "web-1", lambda at_s: "gone" if gone_s[0] <= at_s < gone_s[1] else "alive")
    return recording


def power_off(variant: Variant) -> Recording:
    recording = cut("power-off")(variant)
    recording.event(0.5, "web-1", "RoleStarted")
    if variant == "real":
        recording.event(HEALING_S + 0.3, "web-1", "RoleStarted")
    return recording


# -- links, seen by probes


def probed(recording: Recording, fault: Fault, links: Links, begin_s: float = 1.5, **senders: Any) -> Recording:
    Prober(recording, links, **senders).run([fault], begin_s, 13.5)
    return recording


def cut(kind: str, ways: tuple[str, ...] = ("in", "out")) -> Callable[[Variant], Recording]:
    def story(variant: Variant) -> Recording:
        hit = active(variant)
        links = Links({("web-1", way): lambda packet: [] if hit(packet.at_s) else [Out()] for way in ways})
        return probed(begun(kind, "web-1", "web-1"), fault_of(kind, "web-1"), links)

    return story


def link_down(variant: Variant) -> Recording:
    hit = active(variant)
    links = Links(
        {("web-1", "out"): lambda packet: [] if hit(packet.at_s) else [Out()]},
        absent=lambda host, at_s: host == "web-1" and hit(at_s),
    )
    return probed(begun("link-down", "web-1", "web-1"), fault_of("link-down", "web-1"), links)


def reject(variant: Variant) -> Recording:
    hit = active(variant)
    links = Links(
        {("web-1", "in"): lambda packet: [] if hit(packet.at_s) else [Out()]},
        refusal=lambda host, packet: host == "web-1",
    )
    return probed(begun("reject", "web-1", "web-1"), fault_of("reject", "web-1"), links)


TURN_S = 0.5


def flap(variant: Variant) -> Recording:
    """Cut for half a second, whole for half a second."""
    recording = begun("flap", "web-1", "web-1")
    turns = [(EFFECT_S - 0.01 + place * TURN_S, place % 2 == 0) for place in range(10)]
    recording.change("FaultHealed", turns=[[T0 + at_s - 0.005, T0 + at_s + 0.005, done] for at_s, done in turns])

    def hit(at_s: float) -> bool:
        if variant == "no-op" or at_s < turns[0][0]:
            return False
        if at_s >= HEALED_S - 0.01:
            return variant == "broken revert"
        return [done for begin_s, done in turns if begin_s <= at_s][-1]

    ways = {("web-1", way): lambda packet: [] if hit(packet.at_s) else [Out()] for way in ("in", "out")}
    return probed(recording, fault_of("flap", "web-1"), Links(ways))


def marking(kind: str, old: int | None, new: int, **parameters: Any) -> Callable[[Variant], Recording]:
    def story(variant: Variant) -> Recording:
        hit = active(variant)

        def passes(packet: Packet) -> list[Out]:
            about = packet.tos != 0 if old is None else packet.tos == tos_of(old)
            return [Out(tos=tos_of(new) if about and hit(packet.at_s) else None)]

        links = Links({("web-1", way): passes for way in ("in", "out")})
        fault = fault_of(kind, "web-1", **parameters)
        return probed(begun(kind, "web-1", "web-1", **parameters), fault, links)

    return story


# -- impairments


Passing = Callable[[Packet], list[Out]]


def impaired(
    kind: str,
    way: str,
    link: Callable[[random.Random], Passing],
    senders: Mapping[str, Any] = MappingProxyType({}),
    **parameters: Any,
) -> Callable[[Variant], Recording]:
    """``link``: one link, as good as new, with chance to draw from. ``senders``: what is out of the ordinary with the probers."""

    def story(variant: Variant) -> Recording:
        hit, passes = active(variant), link(random.Random(7))

        def through(packet: Packet) -> list[Out]:
            if not hit(packet.at_s):
                return [Out()]
            # What waits when the queue is taken away leaves at once.
            left_s = max(0.0, HEALING_S + 0.005 - packet.at_s) if variant == "real" else 1e9
            return [replace(out, delay_s=min(out.delay_s, left_s)) for out in passes(packet)]

        links = Links({("web-1", way): through})
        fault = fault_of(kind, "web-1", **parameters)
        return probed(begun(kind, "web-1", "web-1", **parameters), fault, links, **senders)

    return story


def each(outs: Callable[[random.Random], list[Out]]) -> Callable[[random.Random], Passing]:
    """A link that does this to every packet, whatever came before it."""
    return lambda chance: lambda _: outs(chance)


def some(percent: float, outs: list[Out]) -> Callable[[random.Random], Passing]:
    """These for a share of the packets."""
    return each(lambda chance: outs if chance.random() * 100 < percent else [Out()])


def slow(chance: random.Random) -> Passing:
    """1 Mbit/s: one after another, whoever sent them."""
    free_s = 0.0

    def passes(packet: Packet) -> list[Out]:
        nonlocal free_s
        free_s = max(free_s, packet.at_s) + (len(packet.message) - 8 + 42) * 8 / 1e6
        return [Out(delay_s=free_s - packet.at_s)]

    return passes


def mixed(chance: random.Random) -> list[Out]:
    return [] if chance.random() < 0.1 else [Out(delay_s=0.05 + chance.uniform(-0.01, 0.01))]


# -- applications


def http(kind: str, mode: str, **parameters: Any) -> Callable[[Variant], Recording]:
    def story(variant: Variant) -> Recording:
        recording, hit = begun(kind, "web-1", "web-1", **parameters), active(variant)
        asked(recording, "web-1", lambda at_s: mode if hit(at_s) else "alive", path="/text")
        return recording

    return story


def register_reject(variant: Variant) -> Recording:
    recording, hit = begun("register-reject", "ccm-1", "ccm-1"), active(variant)
    for number in range(24):
        at_s = 1.0 + number * 0.5
        connection = Connection(
            wires=[recording.wires["ccm-1"]],
            client=(PHONE_ADDRESSES[0], 50_000 + number),
            server=(ADDRESSES["ccm-1"], 2000),
        )
        connection.open(at_s)
        connection.send(at_s + 0.01, sccp(0x0001, bytes(52)), up=True)
        answer = sccp(0x009D, bytes(36)) if hit(at_s + 0.02) else sccp(0x0081, bytes(20))
        connection.send(at_s + 0.02, answer, up=False)
    return recording


STORIES: dict[str, Callable[[Variant], Recording]] = {
    "stop": workload("stop", "gone"),
    "kill": workload("kill", "gone"),
    "freeze": workload("freeze", "silent"),
    "restart": restart,
    "power-off": power_off,
    "cut": cut("cut"),
    "cut-in": cut("cut-in", ("in",)),
    "cut-out": cut("cut-out", ("out",)),
    "link-down": link_down,
    "reject": reject,
    "flap": flap,
    "bleach": marking("bleach", None, 0),
    "remark": marking("remark", AF31, CS3, **{"from": "AF31", "to": "CS3"}),
    "delay": impaired("delay", "out", each(lambda _: [Out(delay_s=0.05)]), by="50ms"),
    "jitter": impaired(
        "jitter",
        "out",
        each(lambda chance: [Out(delay_s=0.02 + chance.uniform(-0.01, 0.01))]),
        by="10ms",
        delay="20ms",
    ),
    "loss": impaired("loss", "in", some(5, []), by=5),
    "rate": impaired("rate", "out", slow, by="1mbit"),
    "duplicate": impaired("duplicate", "out", some(5, [Out(), Out(delay_s=0.00001)]), by=5),
    "reorder": impaired(
        "reorder",
        "out",
        each(lambda chance: [Out() if chance.random() < 0.05 else Out(delay_s=0.02)]),
        by=5,
        delay="20ms",
    ),
    "corrupt": impaired("corrupt", "out", some(5, [Out(damaged=True)]), by=5),
    "impair": impaired("impair", "out", each(mixed), delay="50ms", jitter="10ms", loss=10),
    "http-error": http("http-error", "error", status=503, path="/text"),
    "http-slow": http("http-slow", "slow", by="500ms", path="/text"),
    "register-reject": register_reject,
    "mute": workload("mute", "silent"),
}
