"""What a call control tells a registered phone: templates, lines, time. The content of a small office, the same for all."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable

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


def numbers_of(device_name: str) -> dict[int, str]:
    """Numbers of a phone by line, from 1."""
    return {1: line_number(device_name)}


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
_BUTTONS = ButtonTemplateRes(count=1, total=1, buttons=(Button(instance=1, kind=_LINE_BUTTON),))
_TEMPLATE = SoftKeyTemplateRes(count=len(_KEYS), total=len(_KEYS), soft_keys=_KEYS)
_SET_ANSWER = SoftKeySetRes(count=len(_KEY_SETS), total=len(_KEY_SETS), sets=_KEY_SETS)


def _line(request: LineStatReq, device_name: str, _host: str) -> Message:
    number = line_number(device_name) if request.line == 1 else ""
    return LineStatRes(line=request.line, number=number, display_name=f"Phone {number}", label=number)


ANSWERS: dict[type[Message], Callable[..., Message]] = {
    ButtonTemplateReq: lambda _request, _device, _host: _BUTTONS,
    SoftKeyTemplateReq: lambda _request, _device, _host: _TEMPLATE,
    SoftKeySetReq: lambda _request, _device, _host: _SET_ANSWER,
    ConfigStatReq: lambda _request, device, host: ConfigStatRes(
        device_name=device, instance=1, server_name=host[:40], lines=1
    ),
    LineStatReq: _line,
    ForwardStatReq: lambda request, _device, _host: ForwardStatRes(line=request.line),
    SpeedDialStatReq: lambda request, _device, _host: SpeedDialStatRes(index=request.index),
    ServiceUrlStatReq: lambda request, _device, _host: ServiceUrlStatRes(index=request.index),
    FeatureStatReq: lambda request, _device, _host: FeatureStatRes(index=request.index),
    VersionReq: lambda _request, _device, _host: VersionRes(version=VERSION),
    ServerReq: lambda _request, _device, host: ServerRes(
        names=(ServerName(name=host[:48]),), ports=(SCCP_PORT,), addresses=(ServerAddress(),)
    ),
}
"""Request -> answer, given the request, the device's name and the call control's host name. TimeDateReq needs the clock."""
