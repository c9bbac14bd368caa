"""What a call control tells a registered phone: templates, lines, time. The content of a small office, the same for all."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from testbed.sccp.configuration_messages import (
    Button,
    ButtonTemplateReq,
    ButtonTemplateRes,
    ConfigStatReq,
    ConfigStatRes,
    DefineTimeDate,
    FeatureStatReq,
    FeatureStatRes,
    ForwardStatReq,
    ForwardStatRes,
    LineStatReq,
    LineStatRes,
    ServerAddress,
    ServerName,
    ServerReq,
    ServerRes,
    ServiceUrlStatReq,
    ServiceUrlStatRes,
    SoftKey,
    SoftKeySet,
    SoftKeySetReq,
    SoftKeySetRes,
    SoftKeyTemplateReq,
    SoftKeyTemplateRes,
    SpeedDialStatReq,
    SpeedDialStatRes,
    VersionReq,
    VersionRes,
)
from testbed.sccp.message import Message

FIRST_DEVICE = 0x020000000000
"""Device names of the bed are SEP and this MAC plus the phone's index, from 1."""
MAX_INDEX = 0xFFFF
MAX_LINES = 2
SECOND_LINE = "7"
VERSION = "P00305000301"
"""The load a 7960 of that era would be told to run (3.5)."""
SCCP_PORT = 2000
_LINE_BUTTON = 9
_SOFT_KEYS = ("Redial", "NewCall", "Hold", "Trnsfer", "CFwdAll", "CFwdBusy", "CFwdNoAnswer", "<<", "EndCall", "Resume")
_INFORMATION = 0x012D
_SETS = ((1, 2, 5), (3, 9, 4), (10, 2, 9), (11, 9), (1, 9, 5), (1, 9), (2, 9), (8, 9), (9,))
"""For the sets on hook, connected, on hold, ring in, off hook, ...: soft keys by their number in the template, from 1."""


def line_number(device_name: str) -> str:
    """1001 for the first phone of the bed, and so on; another device gets a number of six digits from its name."""
    if device_name.startswith("SEP"):
        try:
            index = int(device_name[3:], 16) - FIRST_DEVICE
        except ValueError:
            index = 0
        if 1 <= index <= MAX_INDEX:
            return str(1000 + index)
    return str(900_000 + zlib.crc32(device_name.encode("latin-1", "replace")) % 100_000)


def numbers_of(device_name: str, lines: int = 1) -> dict[int, str]:
    """Numbers of a phone by line, from 1: the second is the first with a 7 before it, which is nobody's first."""
    first = line_number(device_name)
    return {1: first, 2: SECOND_LINE + first} if lines > 1 else {1: first}


def time_and_date(realtime_s: float) -> DefineTimeDate:
    """``realtime_s``: seconds since 1970, told in UTC."""
    moment = time.gmtime(realtime_s)
    return DefineTimeDate(
        year=moment.tm_year,
        month=moment.tm_mon,
        weekday=(moment.tm_wday + 1) % 7,
        day=moment.tm_mday,
        hour=moment.tm_hour,
        minute=moment.tm_min,
        second=moment.tm_sec,
        milliseconds=int(realtime_s % 1 * 1000),
        system_time_s=int(realtime_s),
    )


_KEYS = tuple(SoftKey(label=label, event=event) for event, label in enumerate((*_SOFT_KEYS, "Answer"), start=1))
_KEY_SETS = tuple(
    SoftKeySet(template_indices=keys, information_indices=tuple(_INFORMATION + key - 1 for key in keys))
    for keys in _SETS
)
_TEMPLATE = SoftKeyTemplateRes(count=len(_KEYS), total=len(_KEYS), soft_keys=_KEYS)
_SET_ANSWER = SoftKeySetRes(count=len(_KEY_SETS), total=len(_KEY_SETS), sets=_KEY_SETS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Asker:
    """Who asks, and whom: device name, call control's host name, how many lines phones have here."""

    device_name: str
    host: str
    lines: int = 1


def _buttons(_request: ButtonTemplateReq, asker: Asker) -> Message:
    buttons = tuple(Button(instance=line, kind=_LINE_BUTTON) for line in range(1, asker.lines + 1))
    return ButtonTemplateRes(count=len(buttons), total=len(buttons), buttons=buttons)


def _line(request: LineStatReq, asker: Asker) -> Message:
    number = numbers_of(asker.device_name, asker.lines).get(request.line, "")
    return LineStatRes(line=request.line, number=number, display_name=f"Phone {number}", label=number)


ANSWERS: dict[type[Message], Callable[..., Message]] = {
    ButtonTemplateReq: _buttons,
    SoftKeyTemplateReq: lambda _request, _asker: _TEMPLATE,
    SoftKeySetReq: lambda _request, _asker: _SET_ANSWER,
    ConfigStatReq: lambda _request, asker: ConfigStatRes(
        device_name=asker.device_name, instance=1, server_name=asker.host[:40], lines=asker.lines
    ),
    LineStatReq: _line,
    ForwardStatReq: lambda request, _asker: ForwardStatRes(line=request.line),
    SpeedDialStatReq: lambda request, _asker: SpeedDialStatRes(index=request.index),
    ServiceUrlStatReq: lambda request, _asker: ServiceUrlStatRes(index=request.index),
    FeatureStatReq: lambda request, _asker: FeatureStatRes(index=request.index),
    VersionReq: lambda _request, _asker: VersionRes(version=VERSION),
    ServerReq: lambda _request, asker: ServerRes(
        names=(ServerName(name=asker.host[:48]),), ports=(SCCP_PORT,), addresses=(ServerAddress(),)
    ),
}
"""Request -> answer, given the request and who asks whom. TimeDateReq needs the clock."""
