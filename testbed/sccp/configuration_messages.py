"""Rows of the table: what a registered phone asks and is told about itself; sources as in registration_messages.py."""

from __future__ import annotations

from typing import Annotated

from testbed.sccp.layout import (
    NO_ADDRESS,
    U8,
    U32,
    IPv4,
    Layout,
    Numbers,
    Octets,
    Records,
    Text16,
    Text24,
    Text40,
    Text48,
    Text256,
)
from testbed.sccp.message import DOWN, UP, Message, row


@row(0x009B, DOWN, "ws chs ndpi")
class CapabilitiesReq(Message):
    pass


class Capability(Layout):
    codec: U32 = 0
    max_frames_per_packet: U32 = 0
    parameters: Annotated[bytes, Octets(8)] = b""


@row(0x0010, UP, "ws chs ndpi")
class CapabilitiesRes(Message):
    count: U32 = 0
    capabilities: Annotated[tuple[Capability, ...], Records(Capability, 18)] = ()


@row(0x000E, UP, "ws chs pyskinny")
class ButtonTemplateReq(Message):
    pass


class Button(Layout):
    """Kind: 2 speed dial, 9 line, 19 feature, 20 service URL, 255 undefined."""

    instance: U8 = 0
    kind: U8 = 0


@row(0x0097, DOWN, "ws chs pyskinny")
class ButtonTemplateRes(Message):
    offset: U32 = 0
    count: U32 = 0
    total: U32 = 0
    buttons: Annotated[tuple[Button, ...], Records(Button, 42, b"\x00\xff")] = ()


@row(0x0028, UP, "ws chs")
class SoftKeyTemplateReq(Message):
    pass


class SoftKey(Layout):
    label: Text16 = ""
    event: U32 = 0


@row(0x0108, DOWN, "ws chs pyskinny")
class SoftKeyTemplateRes(Message):
    offset: U32 = 0
    count: U32 = 0
    total: U32 = 0
    soft_keys: Annotated[tuple[SoftKey, ...], Records(SoftKey, 32)] = ()


@row(0x0025, UP, "ws chs")
class SoftKeySetReq(Message):
    pass


class SoftKeySet(Layout):
    """Template indices count from 1; information indices from 0x012D."""

    template_indices: Annotated[tuple[int, ...], Numbers("B", 16)] = ()
    information_indices: Annotated[tuple[int, ...], Numbers("H", 16)] = ()


@row(0x0109, DOWN, "ws chs pyskinny")
class SoftKeySetRes(Message):
    offset: U32 = 0
    count: U32 = 0
    total: U32 = 0
    sets: Annotated[tuple[SoftKeySet, ...], Records(SoftKeySet, 16)] = ()


@row(0x000C, UP, "ws chs pyskinny")
class ConfigStatReq(Message):
    pass


@row(0x0093, DOWN, "ws chs pyskinny")
class ConfigStatRes(Message):
    device_name: Text16 = ""
    user_id: U32 = 0
    instance: U32 = 0
    user_name: Text40 = ""
    server_name: Text40 = ""
    lines: U32 = 0
    speed_dials: U32 = 0


@row(0x000B, UP, "ws chs pyskinny")
class LineStatReq(Message):
    line: U32 = 0


@row(0x0092, DOWN, "ws chs; CallManager 2.x sends 28 bytes, 3.1 68, 3.3 108")
class LineStatRes(Message):
    line: U32 = 0
    number: Text24 = ""
    display_name: Text40 = ""
    label: Text40 = ""
    display_options: U32 = 0


@row(0x0009, UP, "ws chs")
class ForwardStatReq(Message):
    line: U32 = 0


@row(0x0090, DOWN, "ws chs")
class ForwardStatRes(Message):
    active: U32 = 0
    line: U32 = 0
    all_active: U32 = 0
    all_number: Text24 = ""
    busy_active: U32 = 0
    busy_number: Text24 = ""
    no_answer_active: U32 = 0
    no_answer_number: Text24 = ""


@row(0x000A, UP, "ws chs")
class SpeedDialStatReq(Message):
    index: U32 = 0


@row(0x0091, DOWN, "ws chs")
class SpeedDialStatRes(Message):
    index: U32 = 0
    number: Text24 = ""
    display_name: Text40 = ""


@row(0x0033, UP, "ws chs")
class ServiceUrlStatReq(Message):
    index: U32 = 0


@row(0x012F, DOWN, "ws chs")
class ServiceUrlStatRes(Message):
    index: U32 = 0
    url: Text256 = ""
    label: Text40 = ""


@row(0x0034, UP, "ws chs")
class FeatureStatReq(Message):
    index: U32 = 0


@row(0x011F, DOWN, "ws chs")
class FeatureStatRes(Message):
    index: U32 = 0
    feature: U32 = 0
    label: Text40 = ""
    status: U32 = 0


@row(0x002D, UP, "ws chs")
class RegisterAvailableLines(Message):
    max_lines: U32 = 0


@row(0x000D, UP, "ws chs pyskinny")
class TimeDateReq(Message):
    pass


@row(0x0094, DOWN, "ws chs pyskinny")
class DefineTimeDate(Message):
    """Weekday: 0 is Sunday. ``system_time_s`` counts from 1970."""

    year: U32 = 0
    month: U32 = 0
    weekday: U32 = 0
    day: U32 = 0
    hour: U32 = 0
    minute: U32 = 0
    second: U32 = 0
    milliseconds: U32 = 0
    system_time_s: U32 = 0


@row(0x000F, UP, "ws chs ndpi")
class VersionReq(Message):
    pass


@row(0x0098, DOWN, "ws chs ndpi")
class VersionRes(Message):
    version: Text16 = ""


@row(0x0012, UP, "ws chs")
class ServerReq(Message):
    pass


class ServerName(Layout):
    name: Text48 = ""


class ServerAddress(Layout):
    address: IPv4 = NO_ADDRESS


@row(0x009E, DOWN, "ws chs")
class ServerRes(Message):
    names: Annotated[tuple[ServerName, ...], Records(ServerName, 5)] = ()
    ports: Annotated[tuple[int, ...], Numbers("I", 5)] = ()
    addresses: Annotated[tuple[ServerAddress, ...], Records(ServerAddress, 5)] = ()


@row(0x002B, UP, "ws chs")
class HeadsetStatus(Message):
    """Mode: 1 on, 2 off."""

    mode: U32 = 0
