"""Real sockets on loopback: ports, marks, pace and figures of RTP streams."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from testbed.roles.media import Media, RunQueue
from testbed.rtp import RtpPacket, Sender

A, B = "127.0.20.1", "127.0.20.2"


def stream(now: float) -> Sender:
    return Sender(ssrc=1, sequence=65530, timestamp=0, now=now)


def run(main) -> None:
    asyncio.run(main())


def test_two_ports_talk_both_ways_at_fifty_packets_a_second_without_loss():
    async def main() -> None:
        media = Media()
        a, b = media.open(A), media.open(B)
        began = time.monotonic()
        a.start(stream(began), (B, b.port), 184)
        b.start(stream(began), (A, a.port), 184)
        await asyncio.sleep(2.0)
        a.stop()
        b.stop()
        took_s = time.monotonic() - began
        await asyncio.sleep(0.05)
        for port, other in ((a, b), (b, a)):
            assert other.sender is not None
            figures = port.receiver.figures
            assert (figures.lost, figures.invalid) == (0, 0)
            assert figures.packets == other.sender.packets
            assert other.sender.packets == pytest.approx(took_s * 50, abs=2)
        media.close()

    run(main)


def test_ports_are_even_in_the_range_of_the_table_and_their_own_for_each_call():
    async def main() -> None:
        media = Media()
        ports = [media.open(A) for _ in range(5)]
        numbers = [port.port for port in ports]
        assert len(set(numbers)) == 5
        assert all(20480 <= number < 32768 and number % 2 == 0 for number in numbers)
        with pytest.raises(OSError, match="in use"):
            media.open(A, numbers[0])
        ports[0].close()
        media.open(A, numbers[0])
        media.close()
        with pytest.raises(OSError, match="assign"):
            Media().open("192.0.2.1")

    run(main)


@pytest.mark.parametrize("tos", [0, 104, 184])
def test_packets_carry_the_octet_that_was_told(tos):
    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as watcher:
            watcher.bind((B, 0))
            watcher.settimeout(2)
            watcher.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
            media = Media()
            port = media.open(A)
            port.start(stream(time.monotonic()), (B, watcher.getsockname()[1]), tos)
            await asyncio.sleep(0.1)
            data, ancillary, _, source = watcher.recvmsg(2048, 64)
            media.close()
        assert [item[2][0] for item in ancillary if item[1] == socket.IP_TOS] == [tos]
        assert source == (A, port.port)
        assert RtpPacket.decode(data).sequence == 65530

    run(main)


def test_garbage_is_counted_and_hurts_nothing():
    async def main() -> None:
        media = Media()
        port = media.open(A)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rogue:
            for data in (b"", b"x", bytes(1500), b"\x80\xc8" + bytes(30)):
                rogue.sendto(data, (A, port.port))
        await asyncio.sleep(0.1)
        assert port.receiver.figures.packets == 0
        assert port.receiver.figures.invalid == 4
        media.close()

    run(main)


def test_a_stream_started_anew_replaces_the_one_before():
    async def main() -> None:
        media = Media()
        a, b = media.open(A), media.open(B)
        a.start(stream(time.monotonic()), (B, b.port), 184)
        await asyncio.sleep(0.1)
        a.start(Sender(ssrc=2, sequence=0, timestamp=0, now=time.monotonic()), (B, b.port), 0)
        await asyncio.sleep(0.5)
        a.stop()
        await asyncio.sleep(0.05)
        assert b.receiver.figures.lost == 0
        assert b.receiver.figures.packets == pytest.approx(31, abs=4)
        media.close()

    run(main)


def test_a_process_that_is_late_by_its_own_doing_says_so_and_has_no_wait_to_show_for_it():
    """Asleep is not waiting for a processor; a pause like this is the phone's own."""

    async def main() -> None:
        told: list[tuple[float, float]] = []
        media = Media(lambda late_s, waited_s: told.append((late_s, waited_s)))
        a, b = media.open(A), media.open(B)
        a.start(stream(time.monotonic()), (B, b.port), 184)
        await asyncio.sleep(0.1)
        time.sleep(0.2)
        await asyncio.sleep(0.1)
        media.close()
        late_s, waited_s = max(told)
        assert late_s > 0.15
        assert waited_s < late_s

    run(main)


def test_the_run_queue_of_a_thread_is_told_by_the_kernel_and_only_grows():
    queue = RunQueue()
    first = queue.waited_s()
    assert 0 <= first <= queue.waited_s()
    queue.close()
    assert queue.waited_s() == 0
