"""A host of phones: ``python3 -m testbed.roles.phone``.

Environment, besides the bed's own: TESTBED_PHONE_COUNT, TESTBED_FIRST_PHONE (index of the first, from 1),
TESTBED_PHONE_PREFIX (CIDR; phone i, from 0, has network address + 1 + i), TESTBED_TFTP_SERVER (address, or address:port),
TESTBED_OUTSIDE_URL (what the key ``proxy`` fetches), TESTBED_MEDIA_TOS (mark media so, whatever anybody says;
unset: as told),
TESTBED_HTTP_PORT (80) and TESTBED_ADDRESS (0.0.0.0): where the phones' own HTTP server listens.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass

from testbed.errors import UsageError
from testbed.roles.common import HostEnvironment, Reporter, network, run_role, whole_number
from testbed.roles.control import ControlServer
from testbed.roles.phone_control import PhoneControl
from testbed.roles.phone_fleet import Fleet
from testbed.roles.phone_server import PhoneServer
from testbed.sccp.service import FIRST_DEVICE
from testbed.tftp import PORT as TFTP_PORT

ROLE = "phone"
MAX_PHONES = 60_000
HTTP_PORT = 80
STOP_POLL_S = 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetSettings:
    """Which phones live here: device name and address of each, and where they read their files."""

    phones: tuple[tuple[str, str], ...]
    tftp_server: tuple[str, int]
    media_tos: int | None = None

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> FleetSettings:
        """Raises UsageError naming the variable that is wrong."""
        count = whole_number(environment, "TESTBED_PHONE_COUNT", 1, MAX_PHONES)
        first = whole_number(environment, "TESTBED_FIRST_PHONE", 1, MAX_PHONES)
        prefix = network(environment, "TESTBED_PHONE_PREFIX", "172.26.16.0/21")
        if count + 1 >= prefix.num_addresses:
            raise UsageError(f"TESTBED_PHONE_PREFIX={prefix}: no room for {count} phones")
        server, _, port = environment.get("TESTBED_TFTP_SERVER", "172.26.1.10").partition(":")
        if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise UsageError(f"TESTBED_TFTP_SERVER: {port!r} is no port")
        return cls(
            phones=tuple((f"SEP{FIRST_DEVICE + first + i:012X}", str(prefix[1 + i])) for i in range(count)),
            tftp_server=(server, int(port or TFTP_PORT)),
            media_tos=whole_number(environment, "TESTBED_MEDIA_TOS", 0, 255)
            if environment.get("TESTBED_MEDIA_TOS")
            else None,
        )


async def serve(host: HostEnvironment, report: Reporter, stopped: asyncio.Event) -> None:
    """Boot all phones and run them until ``stopped`` is set; then they unregister."""
    settings = FleetSettings.read()
    fleet = Fleet(host, report, settings.phones, settings.tftp_server, media_tos=settings.media_tos)
    control = ControlServer(host.control_path, PhoneControl(fleet).handlers())
    address, port = (
        os.environ.get("TESTBED_ADDRESS", "0.0.0.0"),
        whole_number(os.environ, "TESTBED_HTTP_PORT", HTTP_PORT, 65535),
    )
    server = PhoneServer(fleet, report, address, port)
    await control.start()
    await server.start()
    report("RoleStarted", role=ROLE)
    fleet.start()
    await stopped.wait()
    await stop(fleet)
    await control.close()
    await server.close()
    await fleet.close()


async def stop(fleet: Fleet) -> None:
    """Unregister all phones; those whose call control does not answer end without its word."""
    fleet.stop()
    deadline = time.monotonic() + fleet.host.profile.register_timeout_s + 1
    while not fleet.has_ended and time.monotonic() < deadline:
        await asyncio.sleep(STOP_POLL_S)


if __name__ == "__main__":
    run_role(ROLE, serve)
