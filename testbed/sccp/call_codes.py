"""Numbers that the call messages carry, by name; sources as in registration_messages.py."""

from __future__ import annotations

from enum import IntEnum


class CallStateCode(IntEnum):
    """Of CallState."""

    OFF_HOOK = 1
    ON_HOOK = 2
    RING_OUT = 3
    RING_IN = 4
    CONNECTED = 5
    BUSY = 6
    CONGESTION = 7
    HOLD = 8
    PROCEED = 12
    INVALID_NUMBER = 14


class SoftKeyCode(IntEnum):
    """Of SoftKeyEvent, and of the template that a call control hands out."""

    REDIAL = 1
    NEW_CALL = 2
    HOLD = 3
    TRANSFER = 4
    END_CALL = 9
    RESUME = 10
    ANSWER = 11


class KeySet(IntEnum):
    """Of SelectSoftKeys."""

    ON_HOOK = 0
    CONNECTED = 1
    ON_HOLD = 2
    RING_IN = 3
    OFF_HOOK = 4
    TRANSFER = 5
    RING_OUT = 8


class ToneCode(IntEnum):
    """Of StartTone."""

    DIAL = 0x21
    BUSY = 0x23
    ALERTING = 0x24
    REORDER = 0x25


class Ringer(IntEnum):
    """Of SetRinger."""

    OFF = 1
    INSIDE = 2


class Lamp(IntEnum):
    """Of SetLamp."""

    OFF = 1
    ON = 2
    WINK = 3
    BLINK = 5


SPEAKER_ON, SPEAKER_OFF = 1, 2
LINE_LAMP = 9
"""The stimulus of SetLamp that is a line's lamp."""
INBOUND, OUTBOUND = 1, 2
"""Kind of CallInfo."""
STAR, POUND = 14, 15
KEYPAD = {**{str(digit): digit for digit in range(10)}, "*": STAR, "#": POUND}
"""What is printed on a key -> its number in KeypadButton."""
EF_TOS = 184
"""``precedence`` of StartMediaTransmission is the whole TOS octet: EF."""
FIRST_REFERENCE = 0x1000001
"""Call references of CallManager begin here."""
