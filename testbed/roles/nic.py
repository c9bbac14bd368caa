"""The NIC of a host: owns the network namespace, holds faults, takes captures. Runs in the NIC container.

``hold``     process 1: sets addresses and routes from the environment, removes the default route, waits for SIGTERM.
``configure`` the first thing that ``hold`` does, done again: after a link was down.
``serve``    one per orchestrator, started by ``docker exec -i``: holds link faults (``testbed.roles.holder``).
``heal``     undoes what no living holder holds (``testbed.roles.remains``).
``capture``  tcpdump with a canary frame at both ends; ends when its input closes.

Environment of ``hold``: TESTBED_ADDRESSES (space-separated, added to the interface whose subnet has them), TESTBED_LOCAL_PREFIX (CIDR
of phones that live here), TESTBED_ROUTES (``CIDR via ADDRESS``, comma-separated), TESTBED_UPLINK (``2000000 dscp``: bits a second, queues).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time

from testbed.roles.holder import serve
from testbed.roles.namespace import device_of, interfaces, run
from testbed.roles.remains import heal
from testbed.roles.uplink import HANDLE, batch

CANARY_ETHERTYPE = 0x88B5
"""IEEE 802 local experimental EtherType: no protocol of the bed uses it, and faults (IP only) let it pass."""

TCPDUMP_END_TIMEOUT_S = 5
BLOCK_TIMEOUT_S = 1.1
"""The kernel hands packets to tcpdump in blocks, at most one second late, and SIGINT ends tcpdump without another look.

Its immediate mode is no way out: the ring then has one slot of the snapshot length a packet, 32 of them in 8 MiB, and drops."""


def configure() -> None:
    """Addresses and routes from the environment. The default route goes first: a bed's traffic never leaves its networks."""
    while run(["ip", "-4", "route", "show", "default"]).strip():
        run(["ip", "-4", "route", "del", "default"])
    for address in os.environ.get("TESTBED_ADDRESSES", "").split():
        run(["ip", "address", "replace", f"{address}/32", "dev", device_of(address)])
    if prefix := os.environ.get("TESTBED_LOCAL_PREFIX"):
        run(["ip", "route", "replace", "local", prefix, "dev", "lo"])
    for route in filter(None, os.environ.get("TESTBED_ROUTES", "").split(",")):
        run(["ip", "route", "replace", *route.split()])
    if uplink := os.environ.get("TESTBED_UPLINK"):
        narrow(*uplink.split())


def narrow(bit_s: str, queues: str) -> None:
    """Every interface of the host gets that rate. Packets leave it one by one: a segment of 64 KB would go before all else at once."""
    for device in dict.fromkeys(name for name, _ in interfaces()):
        if HANDLE in run(["tc", "qdisc", "show", "dev", device, "root"]):
            continue
        run(["ip", "link", "set", "dev", device, "gso_max_segs", "1"])
        run(["tc", "-b", "-"], batch(device, int(bit_s), queues))


def hold() -> None:
    """Process 1: configure, then reap orphans until SIGTERM."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})
    configure()
    print(
        json.dumps({"time_s": time.time(), "host": os.environ.get("TESTBED_HOST", ""), "name": "NicConfigured"}),
        flush=True,
    )
    while signal.sigwait({signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}) == signal.SIGCHLD:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass


def send_canary(device: str, host: str, place: str) -> None:
    """A frame nobody answers: proof that the capture saw this moment. Sent from this NIC to a locally administered address."""
    payload = b"testbed-canary " + json.dumps({"host": host, "place": place}).encode()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((device, 0))
        source = sock.getsockname()[4]
        frame = b"\x02\x00\x00\x00\x00\x01" + source + CANARY_ETHERTYPE.to_bytes(2, "big") + payload
        sock.send(frame.ljust(60, b"\0"))


def capture(address: str, host: str) -> int:
    """Write a pcap to stdout until the input closes. JSON on stderr: ``{"listening": …}`` at the start, the counters at the end."""
    device = device_of(address)
    argv = ["tcpdump", "-i", device, "-n", "-U", "-s", "262144", "-B", "8192", "-Z", "root", "-w", "-"]
    tcpdump = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert tcpdump.stderr is not None
    said = []
    for line in tcpdump.stderr:
        said.append(line.strip())
        if "listening on" in line:
            break
    else:
        print(json.dumps({"error": "; ".join(said)}), file=sys.stderr, flush=True)
        return tcpdump.wait()
    send_canary(device, host, "begin")
    print(json.dumps({"listening": device}), file=sys.stderr, flush=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while os.read(0, 65536):
        pass
    send_canary(device, host, "end")
    time.sleep(BLOCK_TIMEOUT_S)
    tcpdump.send_signal(signal.SIGINT)
    try:
        _, rest = tcpdump.communicate(timeout=TCPDUMP_END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        tcpdump.kill()
        _, rest = tcpdump.communicate()
    print(json.dumps(counters(rest)), file=sys.stderr, flush=True)
    return 0


def counters(text: str) -> dict[str, int]:
    """``captured``, ``received`` and ``dropped`` from what tcpdump prints at its end; -1 for what it did not say."""
    result = {"captured": -1, "received": -1, "dropped": -1}
    for line in text.splitlines():
        number, _, rest = line.strip().partition(" ")
        if number.isdigit():
            if rest.startswith(("packets captured", "packet captured")):
                result["captured"] = int(number)
            elif "received by filter" in rest:
                result["received"] = int(number)
            elif "dropped by kernel" in rest:
                result["dropped"] = int(number)
    return result


def main(argv: list[str]) -> int:
    """Entry point in the container."""
    if argv == ["hold"]:
        hold()
    elif argv == ["configure"]:
        configure()
    elif argv == ["serve"]:
        serve()
    elif argv == ["heal"]:
        print(json.dumps(heal()), flush=True)
    elif len(argv) == 3 and argv[0] == "capture":
        return capture(argv[1], argv[2])
    else:
        print("usage: nic hold | configure | serve | heal | capture ADDRESS HOST", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
