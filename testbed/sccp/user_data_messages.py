"""Rows of the table: application data between phone and call control; sources as in registration_messages.py."""

from __future__ import annotations

from typing import Annotated

from testbed.sccp.layout import U32, Tail
from testbed.sccp.message import DOWN, UP, Message, row

UserBytes = Annotated[bytes, Tail(2000, "length")]
"""At most 2000 bytes; the message's ``length`` is the number of them."""


@row(0x011E, DOWN, "ws chs")
class UserToDeviceData(Message):
    application: U32 = 0
    line: U32 = 0
    call_reference: U32 = 0
    transaction: U32 = 0
    length: U32 = 0
    data: UserBytes = b""


@row(0x002E, UP, "ws chs")
class DeviceToUserData(Message):
    application: U32 = 0
    line: U32 = 0
    call_reference: U32 = 0
    transaction: U32 = 0
    length: U32 = 0
    data: UserBytes = b""


@row(0x002F, UP, "ws chs")
class DeviceToUserDataResponse(Message):
    application: U32 = 0
    line: U32 = 0
    call_reference: U32 = 0
    transaction: U32 = 0
    length: U32 = 0
    data: UserBytes = b""


@row(0x013F, DOWN, "ws chs")
class UserToDeviceDataVersion1(Message):
    application: U32 = 0
    line: U32 = 0
    call_reference: U32 = 0
    transaction: U32 = 0
    length: U32 = 0
    sequence: U32 = 0
    display_priority: U32 = 0
    conference: U32 = 0
    application_instance: U32 = 0
    routing: U32 = 0
    data: UserBytes = b""


@row(0x0041, UP, "ws chs")
class DeviceToUserDataVersion1(Message):
    application: U32 = 0
    line: U32 = 0
    call_reference: U32 = 0
    transaction: U32 = 0
    length: U32 = 0
    sequence: U32 = 0
    display_priority: U32 = 0
    conference: U32 = 0
    application_instance: U32 = 0
    routing: U32 = 0
    data: UserBytes = b""


@row(0x0042, UP, "ws chs")
class DeviceToUserDataResponseVersion1(Message):
    application: U32 = 0
    line: U32 = 0
    call_reference: U32 = 0
    transaction: U32 = 0
    length: U32 = 0
    sequence: U32 = 0
    display_priority: U32 = 0
    conference: U32 = 0
    application_instance: U32 = 0
    routing: U32 = 0
    data: UserBytes = b""
