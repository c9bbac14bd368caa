"""What every role needs: its environment, events on stdout, an event loop that ends in order on SIGTERM."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from types import MappingProxyType
from typing import Any

from testbed.errors import BedError, UsageError
from testbed.history import Event
from testbed.profile import PROFILES, Profile

CONTROL_PATH = "/run/testbed/control.sock"


@dataclass(frozen=True, kw_only=True, slots=True)
class HostEnvironment:
    """What ``testbed up`` tells a host: its name, the timers, the bed's block, and where every host of the bed is."""

    host: str
    profile: Profile
    prefix: IPv4Network
    addresses: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Host name -> IPv4 address."""
    names: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """IPv4 address -> host name."""
    control_path: str = CONTROL_PATH

    @classmethod
    def read(cls, role: str, environment: Mapping[str, str] = os.environ) -> HostEnvironment:
        """From TESTBED_HOST, _PROFILE, _PREFIX, _HOSTS and _CONTROL; raises UsageError naming the variable that is wrong."""
        profile = environment.get("TESTBED_PROFILE", "quick")
        if profile not in PROFILES:
            raise UsageError(f"TESTBED_PROFILE={profile!r}: no such profile", hint="known: " + ", ".join(PROFILES))
        addresses = _addresses(environment.get("TESTBED_HOSTS", "{}"))
        return cls(
            host=environment.get("TESTBED_HOST", role),
            profile=PROFILES[profile],
            prefix=network(environment, "TESTBED_PREFIX", "172.26.0.0/16"),
            addresses=MappingProxyType(addresses),
            names=MappingProxyType({address: name for name, address in addresses.items()}),
            control_path=environment.get("TESTBED_CONTROL", CONTROL_PATH),
        )

    def name_of(self, address: str) -> str:
        """The host's name, or the address where no host of the bed has it."""
        return self.names.get(address, address)

    def address_of(self, host: str) -> str | None:
        """The bed's own address for a name or a dotted address; None for what does not belong to the bed."""
        address = self.addresses.get(host, host)
        try:
            return address if IPv4Address(address) in self.prefix else None
        except AddressValueError:
            return None


def network(environment: Mapping[str, str], name: str, default: str) -> IPv4Network:
    """A variable in CIDR notation; raises UsageError."""
    try:
        return IPv4Network(environment.get(name, default))
    except ValueError as error:
        raise UsageError(f"{name}: {error}", hint=f"in the form {default}") from error


def whole_number(environment: Mapping[str, str], name: str, default: int, most: int) -> int:
    """A variable that is a number from 0 to ``most``; raises UsageError."""
    text = environment.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 12 and int(text) <= most):
        raise UsageError(f"{name}={text!r}: not a whole number from 0 to {most}")
    return int(text)


def _addresses(text: str) -> dict[str, str]:
    try:
        addresses = json.loads(text)
    except ValueError as error:
        raise UsageError(f"TESTBED_HOSTS: {error}") from error
    if not isinstance(addresses, dict) or not all(isinstance(address, str) for address in addresses.values()):
        raise UsageError("TESTBED_HOSTS: not a JSON object of host names and addresses")
    return addresses


class Reporter:
    """Prints events of one host, one line each, at once."""

    def __init__(self, host: str) -> None:
        self._host = host

    def __call__(self, name: str, /, **data: object) -> None:
        """An event of now."""
        self.at(time.time(), name, data)

    def at(self, time_s: float, name: str, data: Mapping[str, Any]) -> None:
        """An event of another time (seconds since 1970)."""
        print(Event(time_s=time_s, host=self._host, name=name, data=data).to_json(), flush=True)


def run_role(role: str, serve: Callable[[HostEnvironment, Reporter, asyncio.Event], Awaitable[None]]) -> None:
    """Run a role until SIGTERM or SIGINT sets its event and ``serve`` returns; a wrong environment ends it with status 2."""
    try:
        host = HostEnvironment.read(role)
    except UsageError as error:
        sys.exit(_complaint(role, error))

    async def main() -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        await serve(host, Reporter(host.host), stopped)

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            runner.run(main())
        except BedError as error:
            sys.exit(_complaint(role, error))
        except OSError as error:
            sys.exit(_complaint(role, BedError(str(error))))


def _complaint(role: str, error: BedError) -> int:
    print(f"{role}: {error.message}" + (f" ({error.hint})" if error.hint else ""), file=sys.stderr, flush=True)
    return error.exit_code


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop's where the image has it."""
    try:
        factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    except ImportError:
        return asyncio.new_event_loop
    return factory
