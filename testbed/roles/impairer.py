"""Impairs the packets of one link one way, in user space: the means where the kernel has no netem.

    python3 -m testbed.roles.impairer '{"table": "testbed_delay_12ab_out0", "chain": "held", "delay_s": 0.05}'

The table (family ip) and its chain are there already, with the conditions; this process hands what comes into the chain to a queue
of its own and lets each packet out when its ``Schedule`` says so. It prints ``{"ready": true}`` once packets go through it. Upon
SIGTERM, or when whoever started it is gone, it takes its rule out of the chain, lets everything out that waits, and ends: nothing is
lost. Killed, it lets packets pass: the rule has a bypass. What it held then is lost.

A local TCP sender has only about a millisecond's worth of data in the queue at a time (TCP small queues; netem hides from them, a
queue cannot), so bulk transfers out of a delayed host are slower than over a real link. Delay at the receiver instead where it matters.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from testbed.roles.impairer_schedule import Parameters, Release, Schedule
from testbed.roles.netlink import add_queue_rule, remove_rules

COPY_MARK = 0x7E57
"""Firewall mark of the copies we send, which the conditions of the table let pass (testbed.faults.impairment_plan)."""

FIRST_QUEUE, QUEUES = 0x7E57, 64
"""Numbers of our queues; the first that nobody has is taken."""

BURST_PACKETS = 4096
"""Packets in the kernel that wait for us to look at them, besides those that wait for their time."""

SOCKET_BUFFER_BYTES = 16 << 20
"""4096 full-size packets with the kernel's own bookkeeping (2.3 kB each) fit."""

WAKE_SLACK_S = 0.0002
"""What leaves within it goes along: fewer wakings, and less than the kernel's own lateness."""

PARENT_CHECK_S = 1.0
LAST_PACKETS_S = 0.003
"""A packet that met the rule just before it went is in the queue within this time."""


class Impairer:
    """Packets between their queue and their schedule. A packet is ``netfilterqueue.Packet``; ``send_copy`` sends content once more."""

    def __init__(
        self, parameters: Parameters, *, send_copy: Callable[[bytes], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._needs_content = parameters.needs_content
        self.schedule = Schedule(parameters)
        self._send_copy, self._clock = send_copy, clock
        self._ending = False

    def take(self, packet: Any) -> None:
        """A packet came out of the queue. What is due goes first, so that a flood cannot hold it up."""
        if self._ending:
            packet.accept()
            return
        now = self._clock()
        if self.schedule.next_release_s <= now:
            self.release(now)
        if self._needs_content:
            packet.retain()
        if not self.schedule.admit(packet, packet.get_payload_len(), now):
            packet.drop()

    def release(self, now: float) -> None:
        """Let out what is due."""
        for leaving in self.schedule.due(now):
            self._let_out(leaving)

    def end(self) -> None:
        """From now on everything passes; what waits goes at once, in order."""
        self._ending = True
        self.release(float("inf"))

    def wait_s(self) -> float:
        """Until the next packet leaves, at most PARENT_CHECK_S."""
        return min(PARENT_CHECK_S, max(0.0, self.schedule.next_release_s - self._clock()))

    def _let_out(self, leaving: Release) -> None:
        packet = leaving.item
        if leaving.is_copy:
            content = packet.get_payload()
            self._send_copy(content if leaving.corrupt_at is None else corrupted(content, leaving.corrupt_at))
            return
        if leaving.corrupt_at is not None:
            packet.set_payload(corrupted(packet.get_payload(), leaving.corrupt_at))
        packet.accept()


def corrupted(content: bytes, share: float) -> bytes:
    """One bit flipped behind the IP header, so that it is the receiver's TCP or UDP checksum that notices."""
    changed = bytearray(content)
    header_bytes = (content[0] & 0x0F) * 4
    bit = int(share * 8 * (len(content) - header_bytes))
    if header_bytes + bit // 8 < len(changed):
        changed[header_bytes + bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)


def copy_sender() -> Callable[[bytes], None]:
    """Sends IP packets as they are: out of the host, or to an address of its own. A full socket loses the copy, as a full link does."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, COPY_MARK)
    sock.setblocking(False)

    def send(content: bytes) -> None:
        with contextlib.suppress(OSError):
            sock.sendto(content, (socket.inet_ntoa(content[16:20]), 0))

    return send


def open_queue(take: Callable[[Any], None], limit_packets: int) -> tuple[Any, int]:
    """A queue and its number; OSError where none is free or the kernel has none."""
    from netfilterqueue import NetfilterQueue  # type: ignore[import-not-found]

    queue = NetfilterQueue()
    for number in range(FIRST_QUEUE, FIRST_QUEUE + QUEUES):
        try:
            queue.bind(number, take, max_len=limit_packets + BURST_PACKETS, sock_len=SOCKET_BUFFER_BYTES)
        except OSError:
            continue
        return queue, number
    raise OSError(f"none of the queues {FIRST_QUEUE} to {FIRST_QUEUE + QUEUES - 1} is free")


def serve(impairer: Impairer, queue: Any, ended: int) -> None:
    """Until there is something to read from ``ended`` (SIGTERM came), or our parent is gone."""
    parent, packets = os.getppid(), queue.get_fd()
    while os.getppid() == parent:
        readable = select.select([packets, ended], [], [], impairer.wait_s())[0]
        if ended in readable:
            return
        if packets in readable:
            queue.run(block=False)
        impairer.release(time.monotonic() + WAKE_SLACK_S)


def main(argv: list[str]) -> int:
    """Entry point in the NIC; one argument, JSON: ``table``, ``chain`` and the fields of Parameters."""
    given = json.loads(argv[0])
    table, chain = given.pop("table"), given.pop("chain")
    parameters = Parameters(**given)
    gc.disable()  # nothing here makes cycles, and a collection is a pause
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGTERM, lambda *_: None)
    impairer = Impairer(parameters, send_copy=copy_sender())
    queue, number = open_queue(impairer.take, parameters.limit_packets)
    try:
        add_queue_rule(table, chain, number)
        print(json.dumps({"ready": True}), flush=True)
        serve(impairer, queue, ended)
    finally:
        impairer.end()
        remove_rules(table, chain)
        while select.select([queue.get_fd()], [], [], LAST_PACKETS_S)[0]:
            queue.run(block=False)
        queue.unbind()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
