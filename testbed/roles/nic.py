"""The NIC of a host: owns the network namespace, holds faults, takes captures. Runs in the NIC container as three processes.

``hold``     process 1: sets addresses and routes from the environment, removes the default route, waits for SIGTERM.
``serve``    one per orchestrator, started by ``docker exec -i``: JSON lines in, JSON lines out; holds link faults. When its input
             closes (the orchestrator is gone) or a lease ends, it undoes what it holds: nothing outlives who asked for it.
``capture``  tcpdump with a canary frame at both ends; ends when its input closes.

Environment of ``hold``: TESTBED_ADDRESSES (space-separated, added to the interface whose subnet has them), TESTBED_LOCAL_PREFIX (CIDR
of phones that live here), TESTBED_ROUTES (``CIDR via ADDRESS``, comma-separated).
"""

from __future__ import annotations

import ipaddress
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from typing import Any

CANARY_ETHERTYPE = 0x88B5
"""IEEE 802 local experimental EtherType: no protocol of the bed uses it, and faults (IP only) let it pass."""

COMMAND_TIMEOUT_S = 10
TCPDUMP_END_TIMEOUT_S = 5
BLOCK_TIMEOUT_S = 1.1
"""The kernel hands packets to tcpdump in blocks, at most one second late, and SIGINT ends tcpdump without another look.

Its immediate mode is no way out: the ring then has one slot of the snapshot length a packet, 32 of them in 8 MiB, and drops."""


def run(argv: list[str], text: str | None = None) -> str:
    """Run a command; its output, or RuntimeError with what it printed."""
    done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip() or f'exit status {done.returncode}'}"
        )
    return done.stdout


def interfaces() -> list[tuple[str, ipaddress.IPv4Interface]]:
    """Name and address of every interface but loopback."""
    found = []
    for record in json.loads(run(["ip", "-j", "-4", "address", "show"])):
        if record["ifname"] != "lo":
            found += [
                (record["ifname"], ipaddress.IPv4Interface(f"{a['local']}/{a['prefixlen']}"))
                for a in record["addr_info"]
            ]
    return found


def device_of(address: str) -> str:
    """Interface that has this address, or whose subnet holds it: interfaces are named by address, never ``eth0`` by habit."""
    wanted = ipaddress.IPv4Address(address)
    candidates = interfaces()
    for name, interface in candidates:
        if interface.ip == wanted:
            return name
    for name, interface in candidates:
        if interface.network.prefixlen < 32 and wanted in interface.network:
            return name
    raise RuntimeError(f"no interface for {address}; there are " + ", ".join(f"{name} {i}" for name, i in candidates))


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


class Holder:
    """Faults held in this namespace: each with the commands that undo it and the end of its lease (monotonic, or None)."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[list[dict[str, Any]], float | None]] = {}

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request, one reply; operations are ``apply``, ``undo``, ``device`` and ``ping``."""
        if request["op"] == "apply":
            return self.apply(request)
        if request["op"] == "undo":
            return self.undo(request["id"])
        if request["op"] == "device":
            return {"device": device_of(request["address"])}
        if request["op"] == "ping":
            return {"held": sorted(self.held)}
        raise RuntimeError(f"unknown operation {request['op']!r}")

    def apply(self, request: dict[str, Any]) -> dict[str, Any]:
        """The undo is on the books before the first command runs; a command that fails undoes what came before it."""
        lease_s = request.get("lease_s")
        self.held[request["id"]] = (request["undo"], None if lease_s is None else time.monotonic() + lease_s)
        began_s = time.time()
        try:
            for command in request["do"]:
                run(command["argv"], command.get("input"))
        except (RuntimeError, subprocess.TimeoutExpired):
            self.undo(request["id"])
            raise
        effect_s = time.time()
        seen = [run(command["argv"]) for command in request.get("confirm", ())]
        return {"began_s": began_s, "effect_s": effect_s, "seen": seen}

    def undo(self, fault_id: str) -> dict[str, Any]:
        """A fault that is not held counts as healed; so does one whose rule is gone already."""
        began_s = time.time()
        problems = []
        for command in self.held.pop(fault_id, ((), None))[0]:
            try:
                run(command["argv"], command.get("input"))
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                if "No such file" not in str(error):
                    problems.append(str(error))
        if problems:
            raise RuntimeError("; ".join(problems))
        return {"began_s": began_s, "effect_s": time.time()}

    def next_lease_end(self) -> float | None:
        """When the next lease ends (monotonic)."""
        return min((end for _, end in self.held.values() if end is not None), default=None)

    def end_leases(self, now: float) -> None:
        """Undo what is over."""
        for fault_id in [key for key, (_, end) in self.held.items() if end is not None and end <= now]:
            self._undo_quietly(fault_id)

    def end(self) -> None:
        """Undo everything."""
        for fault_id in list(self.held):
            self._undo_quietly(fault_id)

    def _undo_quietly(self, fault_id: str) -> None:
        try:
            self.undo(fault_id)
        except RuntimeError as error:
            print(f"could not undo {fault_id}: {error}", file=sys.stderr, flush=True)


def serve() -> None:
    """Answer requests until the input closes, then undo all that is held."""
    holder = Holder()
    # A dying orchestrator's terminal may signal us too; the end of the input is the only end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    pending = b""
    print(json.dumps({"ready": True}), flush=True)
    try:
        while True:
            end = holder.next_lease_end()
            timeout = None if end is None else max(0.0, end - time.monotonic())
            if not select.select([0], [], [], timeout)[0]:
                holder.end_leases(time.monotonic())
                continue
            data = os.read(0, 65536)
            if not data:
                return
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                try:
                    reply = holder.handle(json.loads(line))
                except (RuntimeError, ValueError, KeyError, TypeError, subprocess.TimeoutExpired) as error:
                    reply = {"error": f"{error}"}
                print(json.dumps(reply), flush=True)
    finally:
        holder.end()


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
    elif argv == ["serve"]:
        serve()
    elif len(argv) == 3 and argv[0] == "capture":
        return capture(argv[1], argv[2])
    else:
        print("usage: nic hold | serve | capture ADDRESS HOST", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
