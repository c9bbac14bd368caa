"""The roles as processes of their own on 127.0.0.0/8: phones 127.1.0.1…, call controls 127.0.1.100 and .101, a TFTP server."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from testbed.history import Event, parse_event
from testbed.roles.control import ask

CCM_1, CCM_BK = "127.0.1.100", "127.0.1.101"
HOSTS = {"ccm-1": CCM_1, "ccm-bk": CCM_BK, "outside-web": "127.0.1.80"}
WAIT_S = 10.0
ROOT = Path(__file__).parents[2]

_MEMBER = (
    '<member priority="{priority}"><callManager><ports><ethernetPhonePort>{port}</ethernetPhonePort></ports>'
    "<processNodeName>{address}</processNodeName></callManager></member>"
)
_URLS = """<servicesURL>http://{first}:{http}/CCMCIP/getservicesmenu.asp</servicesURL>
<directoryURL>http://{first}:{http}/CCMCIP/xmldirectory.asp</directoryURL>
<informationURL>http://{first}:{http}/CCMCIP/GetTelecasterHelpText.asp</informationURL>
<messagesURL>http://{first}:{http}/CCMCIP/messages.asp</messagesURL>
<authenticationURL>http://{first}:{http}/CCMCIP/authenticate.asp</authenticationURL>
<idleURL>http://{second}:{http}/CCMCIP/messages.asp</idleURL><idleTimeout>{idle}</idleTimeout>
<dscpForCm2Dvce>104</dscpForCm2Dvce>"""


def configuration(sccp_port: int, http_port: int, idle_s: int, *, is_split: bool = False) -> dict[str, bytes]:
    """The two files: ``device`` in the CallManager 4.1 form (xsi: undeclared), and ``Default``, whose phones have the other call
    control first where it ``is_split``."""
    group = _group(sccp_port, CCM_1, CCM_BK)
    default_group = _group(sccp_port, CCM_BK, CCM_1) if is_split else group
    urls = _URLS.format(http=http_port, first=CCM_1, second=CCM_BK, idle=idle_s)
    return {
        "device": f'<device xsi:type="axl:XIPPhone"><devicePool>{group}</devicePool>{urls}</device>'.encode(),
        "Default": f"<Default>{default_group}{urls}</Default>".encode(),
    }


def _group(port: int, *addresses: str) -> str:
    members = "".join(
        _MEMBER.format(priority=priority, port=port, address=address) for priority, address in enumerate(addresses)
    )
    return f"<callManagerGroup><members>{members}</members></callManagerGroup>"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((CCM_1, 0))
        return int(probe.getsockname()[1])


class TftpServer(threading.Thread):
    """As little of RFC 1350 as it takes; answers from a new port for each transfer, as the RFC demands."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(daemon=True)
        self.files, self.asked = files, []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = self._socket.getsockname()
        self.start()

    def run(self) -> None:
        while True:
            try:
                request, client = self._socket.recvfrom(600)
            except OSError:
                return
            name = request[2:].split(b"\0")[0].decode()
            self.asked.append(name)
            threading.Thread(target=self._send, args=(self.files.get(name), client), daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _send(self, content: bytes | None, client: tuple[str, int]) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as transfer:
            transfer.bind(("127.0.0.1", 0))
            transfer.settimeout(2)
            if content is None:
                transfer.sendto(struct.pack("!HH", 5, 1) + b"File not found\0", client)
                return
            for block in range(len(content) // 512 + 1):
                transfer.sendto(struct.pack("!HH", 3, block + 1) + content[block * 512 : block * 512 + 512], client)
                try:
                    transfer.recvfrom(600)
                except TimeoutError:
                    return


class Role:
    """One role as a process; its events as they come."""

    def __init__(self, module: str, host: str, control: Path, **environment: str) -> None:
        self.control = control
        self.events: list[Event] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"testbed.roles.{module}"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={
                **os.environ,
                "TESTBED_HOST": host,
                "TESTBED_PROFILE": "quick",
                "TESTBED_PREFIX": "127.0.0.0/8",
                "TESTBED_HOSTS": json.dumps(HOSTS),
                "TESTBED_CONTROL": str(control),
                **environment,
            },
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def seen(self, name: str, **particulars: Any) -> list[Event]:
        """Events so far."""
        while not self._lines.empty():
            event = parse_event(self._lines.get() or "")
            if event is not None:
                self.events.append(event)
        return [
            event
            for event in self.events
            if event.name == name and all(event.get(key) == value for key, value in particulars.items())
        ]

    def await_events(self, count: int, name: str, **particulars: Any) -> list[Event]:
        """Wait until so many are there."""
        wait_until(lambda: len(self.seen(name, **particulars)) >= count, f"{count} x {name} {particulars}", self)
        return self.seen(name, **particulars)

    def ask(self, **request: Any) -> dict[str, Any]:
        """Through the control socket."""
        reply: dict[str, Any] = json.loads(ask(str(self.control), json.dumps(request)))
        return reply

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Ask it to end in order; its exit status."""
        self.process.terminate()
        status = self.process.wait(timeout=WAIT_S)
        self._reader.join(timeout=WAIT_S)
        return status

    def kill(self) -> None:
        """End it at once, frozen or not."""
        self.process.kill()
        self.process.wait(timeout=WAIT_S)
        self._reader.join(timeout=WAIT_S)


def wait_until(holds: Callable[[], bool], awaited: str, *roles: Role) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        ended = [role.process.poll() for role in roles]
        last = [event.to_json() for role in roles for event in role.events[-10:]]
        assert not any(ended), f"{awaited}: did not come; exit statuses {ended}; last events {last}"
        assert time.monotonic() < deadline, f"{awaited}: did not come within {WAIT_S} s; last events {last}"
        time.sleep(0.01)


class Bed:
    """Call controls and phones; ends what it started."""

    def __init__(self, folder: Path, *, phones: int = 6, idle_s: int = 0, is_split: bool = False) -> None:
        """``is_split``: the second half of the phones is at home at ccm-bk."""
        self.folder, self.phones_count = folder, phones
        self.sccp_port, self.http_port, self.phone_port = free_port(), free_port(), free_port()
        names = [f"SEP{0x020000000001 + i:012X}" for i in range(phones)]
        files = configuration(self.sccp_port, self.http_port, idle_s, is_split=is_split)
        # Half of the phones are not in the server's database and take the default file.
        served = {f"{name}.cnf.xml": files["device"] for name in names[: phones // 2]}
        served["XMLDefault.cnf.xml"] = files["Default"]
        self.tftp = TftpServer(served)
        self.names = names
        self.roles: list[Role] = []

    def call_control(self, host: str, **environment: str) -> Role:
        """Started, not awaited."""
        role = Role(
            "call_control",
            host,
            self.folder / f"{host}.sock",
            TESTBED_ADDRESS=HOSTS[host],
            TESTBED_SCCP_PORT=str(self.sccp_port),
            TESTBED_HTTP_PORT=str(self.http_port),
            **environment,
        )
        self.roles.append(role)
        return role

    def phones(self) -> Role:
        """Started, not awaited."""
        role = Role(
            "phone",
            "phones-1",
            self.folder / "phones-1.sock",
            TESTBED_PHONE_COUNT=str(self.phones_count),
            TESTBED_PHONE_PREFIX="127.1.0.0/24",
            TESTBED_TFTP_SERVER=f"{self.tftp.address[0]}:{self.tftp.address[1]}",
            TESTBED_OUTSIDE_URL=f"http://outside-web:{self.http_port}/",
            TESTBED_ADDRESS="127.1.0.1",  # the first phone's
            TESTBED_HTTP_PORT=str(self.phone_port),
        )
        self.roles.append(role)
        return role

    def all_roles(self, **environment: str) -> tuple[Role, Role, Role]:
        """Primary (with this environment), backup, phones; phones and their standby connections are up."""
        first, backup = self.call_control("ccm-1", **environment), self.call_control("ccm-bk")
        first.await_events(1, "RoleStarted")
        backup.await_events(1, "RoleStarted")
        phones = self.phones()
        phones.await_events(self.phones_count, "CallControlConnected", state="standby")
        return first, backup, phones

    def close(self) -> None:
        for role in self.roles:
            role.kill()
        self.tftp.close()
