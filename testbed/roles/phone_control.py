"""Control operations of a phones host: ls, show, press, keys, screen, browse, call, answer, stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from testbed.browser.screen import Screen
from testbed.errors import UsageError
from testbed.roles.control import Handler, number_in
from testbed.roles.phone_fleet import Fleet, Seat
from testbed.roles.phone_web import ALL_URLS, KEYS, Errand, url_of
from testbed.sccp.call_codes import KEYPAD
from testbed.sccp.phone_call_state import Call, Phase
from testbed.sccp.phone_calls import KEYS as CALL_KEYS
from testbed.sccp.phone_calls import MAX_NUMBER
from testbed.sccp.phone_state import OPEN_STATES, State

METHODS = ("GET", "POST", "HEAD")
MAX_KEYS = 20
MIN_INTERVAL_S, MAX_INTERVAL_S = 0.02, 3600.0
MAX_DURATION_S = 24 * 3600.0
MAX_REQUESTS_PER_S = 2000.0
MAX_URL_CHARS = 2048
ANSWER_WAIT_S, ANSWER_POLL_S = 1.0, 0.005
"""How long a key waits for what call control says to it: that is milliseconds away, or does not come."""


class PhoneControl:
    """Answers for one fleet."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def handlers(self) -> dict[str, Handler]:
        """By the name of the operation."""
        return {
            "ls": self.ls,
            "show": self.show,
            "press": self.press,
            "keys": self.keys,
            "screen": self.screen,
            "browse": self.browse,
            "call": self.call,
            "answer": self.answer,
            "stop": self.stop,
        }

    async def ls(self, _request: Mapping[str, Any]) -> dict[str, Any]:
        """All phones, in order."""
        return {"phones": [self._row(seat) for seat in self._fleet.seats]}

    async def show(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """One ``phone``: its row, URL table, group, timers, and how far it is with each call control."""
        (seat,) = self._seats([request.get("phone")])
        shown: dict[str, Any] = self._row(seat)
        if seat.config is not None:
            file = seat.config.sep_file
            shown["urls"] = {name: getattr(file.urls, name) for name in file.urls.__slots__}
            shown["idle_timeout_s"], shown["connection_monitor_s"] = file.idle_timeout_s, file.connection_monitor_s
            shown["tos"] = {"signalling": file.tos_signalling, "services": file.tos_services}
        if seat.machine is not None:
            shown["keepalive_s"], shown["secondary_keepalive_s"] = seat.machine.keepalive_s, seat.machine.secondary_s
            shown["sessions"] = [
                {
                    "call_control": self._fleet.place(seat, session.rank),
                    "state": session.state.value,
                    "missed": session.missed,
                }
                for session in seat.machine.sessions
            ]
        shown["profile"] = self._fleet.host.profile.name
        return shown

    async def press(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """``phones`` ("all" or names), ``keys``: fetch the pages behind them; answers when all came or failed."""
        keys = self._keys(request.get("keys"))
        tasks = []
        for seat in self._seats(request.get("phones", "all")):
            self._fleet.restart_idle(seat)
            tasks += [self._press(seat, key) for key in keys]
        return {"results": await asyncio.gather(*tasks)}

    async def keys(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """``phone``, ``keys``: press them one after the other, each upon the page of the one before; then its screen.

        A key is the call's where one is up, or where it can be nothing else's; ``ok``: it did something.
        """
        (seat,) = self._seats([request.get("phone")])
        keys = request.get("keys")
        if (
            not isinstance(keys, list)
            or not 1 <= len(keys) <= MAX_KEYS
            or not all(isinstance(key, str) for key in keys)
        ):
            raise UsageError(f"keys: a list of 1 to {MAX_KEYS} names is needed")
        self._fleet.restart_idle(seat)
        results = [await self._press_key(seat, key[:MAX_URL_CHARS]) for key in keys]
        return {"results": results, **await self.screen(request)}

    async def screen(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What the display of ``phone`` shows: ``screen`` as ``Screen.to_json``, ``picture`` PNG in base64 or null.

        A call comes before any page.
        """
        (seat,) = self._seats([request.get("phone")])
        row = self._row(seat)
        line = f"Line {row['line']}" if row["line"] else "No line"
        if row["calls"]:
            return {"screen": Screen(title=line, lines=tuple(row["calls"]), object="Call").to_json(), "picture": None}
        place = f"registered at {row['registered_at']}" if row["registered_at"] else row["state"]
        return self._fleet.services.screen(seat, (line, place))

    async def browse(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """``url`` every ``interval_s`` from each of ``phones``, evenly spread, for ``duration_s``; results are events."""
        seats = self._seats(request.get("phones", "all"))
        url, method = request.get("url"), request.get("method", "GET")
        if not isinstance(url, str) or not url.startswith("http://") or len(url) > MAX_URL_CHARS:
            raise UsageError(f"url: an http URL of at most {MAX_URL_CHARS} characters is needed, not {url!r:.80}")
        if method not in METHODS:
            raise UsageError(f"method: no {method!r}", hint="known: " + ", ".join(METHODS))
        every_s = number_in(request, "interval_s", least=MIN_INTERVAL_S, most=MAX_INTERVAL_S)
        duration_s = number_in(request, "duration_s", least=0, most=MAX_DURATION_S)
        if len(seats) / every_s > MAX_REQUESTS_PER_S:
            raise UsageError(
                f"{len(seats) / every_s:.0f} requests a second are too many; at most {MAX_REQUESTS_PER_S:g}"
            )
        now = time.monotonic()
        for place, seat in enumerate(seats):
            first_at = now + every_s * place / len(seats)
            self._fleet.browse(seat, method, url, first_at=first_at, every_s=every_s, until=now + duration_s)
        return {"phones": len(seats), "until_s": round(time.time() + duration_s, 3)}

    async def call(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """``calls``: a list of ``{phone, number}``; with ``talk_s`` each caller hangs up after so long a talk. What comes of it are events."""
        wanted = request.get("calls")
        if not isinstance(wanted, list) or not all(isinstance(one, dict) for one in wanted):
            raise UsageError("calls: a list of {phone, number} is needed")
        talk_s = None if request.get("talk_s") is None else number_in(request, "talk_s", least=0, most=MAX_DURATION_S)
        pairs = [(self._seats([one.get("phone")])[0], _number(one.get("number"))) for one in wanted]
        results = [
            {"phone": seat.device_name, "number": number, "ok": self._fleet.call(seat, number, talk_s)}
            for seat, number in pairs
        ]
        return {"results": results}

    async def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """``phones``, ``after_s``: how long they let it ring; null: nobody is there to answer."""
        seats = self._seats(request.get("phones", "all"))
        after_s = (
            None if request.get("after_s") is None else number_in(request, "after_s", least=0, most=MAX_DURATION_S)
        )
        for seat in seats:
            seat.answer_after_s = after_s
            if seat.machine is not None:
                seat.machine.calls.answer_after_s = after_s
        return {"phones": len(seats), "after_s": after_s}

    async def stop(self, _request: Mapping[str, Any]) -> dict[str, Any]:
        """Unregister all phones; they stay off."""
        self._fleet.stop()
        return {"phones": len(self._fleet.seats)}

    # -- parts

    async def _press_key(self, seat: Seat, key: str) -> dict[str, Any]:
        is_in_call = seat.machine is not None and seat.machine.calls.active is not None
        if key in CALL_KEYS and (is_in_call or key not in KEYPAD):
            before = [(call.reference, call.phase) for call in _calls(seat)]
            done = self._fleet.press_in_call(seat, key)
            if done and key not in KEYPAD:
                await self._await_answer(seat, before)
            return {"phone": seat.device_name, "key": key, "ok": done}
        return await self._fleet.services.press(seat, key)

    @staticmethod
    async def _await_answer(seat: Seat, before: list[tuple[int, Phase]]) -> None:
        """Call control says what a key comes to; who presses the next one has seen it: nobody dials before the dial tone."""
        deadline = time.monotonic() + ANSWER_WAIT_S
        while [(call.reference, call.phase) for call in _calls(seat)] == before and time.monotonic() < deadline:
            await asyncio.sleep(ANSWER_POLL_S)

    async def _press(self, seat: Seat, key: str) -> dict[str, Any]:
        if seat.config is None:
            return {"phone": seat.device_name, "url_name": key, "ok": False, "error": "no configuration yet"}
        file = seat.config.sep_file
        errand = Errand(
            device_name=seat.device_name,
            address=seat.address,
            url_name=key,
            url=url_of(key, file, seat.device_name),
        )
        result, _ = await self._fleet.web.start(errand, file)
        return result

    def _row(self, seat: Seat) -> dict[str, Any]:
        machine = seat.machine
        home = machine.home if machine is not None else None
        standby = [s.rank for s in machine.sessions if s.state in OPEN_STATES] if machine is not None else []
        return {
            "phone": seat.device_name,
            "address": seat.address,
            "state": _state_of(seat),
            "registered_at": self._fleet.place(seat, home.rank) if home is not None else None,
            "rank": home.rank if home is not None else None,
            "standby": self._fleet.place(seat, standby[0]) if standby else None,
            "line": machine.line if machine is not None else "",
            "calls": [f"{call.phase.value} {call.number}".rstrip() for call in _calls(seat)],
            "config": seat.config.file if seat.config is not None else None,
        }

    def _seats(self, phones: object) -> list[Seat]:
        if phones == "all":
            return self._fleet.seats
        names = [str(name) for name in phones] if isinstance(phones, list) else [str(phones)]
        unknown = [name for name in names if name not in self._fleet.by_name]
        if unknown or not names:
            known = [seat.device_name for seat in (*self._fleet.seats[:1], *self._fleet.seats[-1:])]
            raise UsageError(
                f"no phone {unknown[0]!r} here" if unknown else "no phone named", hint="known: " + " to ".join(known)
            )
        return [self._fleet.by_name[name] for name in names]

    def _keys(self, keys: object) -> list[str]:
        if not isinstance(keys, list) or not 1 <= len(keys) <= MAX_KEYS:
            raise UsageError(
                f"keys: a list of 1 to {MAX_KEYS} names is needed", hint="known: " + ", ".join((*KEYS, ALL_URLS))
            )
        unknown = [key for key in keys if key not in (*KEYS, ALL_URLS)]
        if unknown:
            raise UsageError(f"no key {unknown[0]!r}", hint="known: " + ", ".join((*KEYS, ALL_URLS)))
        return [name for key in keys for name in (KEYS if key == ALL_URLS else (key,))]


def _calls(seat: Seat) -> list[Call]:
    """The phone's calls, oldest first."""
    return list(seat.machine.calls.by_reference.values()) if seat.machine is not None else []


def _number(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_NUMBER or not set(value) <= set(KEYPAD):
        raise UsageError(f"number: 1 to {MAX_NUMBER} of 0-9, * and # are needed, not {value!r:.40}")
    return value


def _state_of(seat: Seat) -> str:
    """configuring, seeking, registering, registered, unregistering or stopped."""
    machine = seat.machine
    if machine is None:
        return "configuring"
    if machine.ended:
        return "stopped"
    chosen = machine.chosen
    if chosen is None or chosen.state is State.CONNECTING:
        return "seeking"
    return "registering" if chosen.state is State.CONFIGURING else chosen.state.value
