"""Rows of the table: keys, display and call state (protocol 3 to 5); sources as in registration_messages.py."""

from __future__ import annotations

from typing import Annotated

from testbed.sccp.layout import U32, Layout, Octets3, Records, Text24, Text25, Text32, Text40
from testbed.sccp.message import DOWN, UP, Message, row


@row(0x0006, UP, "ws chs wiki-jul23; 2002 products send no body")
class OffHook(Message):
    line: U32 = 0
    call_reference: U32 = 0


@row(0x0007, UP, "ws chs wiki-jul23; 2002 products send no body")
class OnHook(Message):
    line: U32 = 0
    call_reference: U32 = 0


@row(0x0003, UP, "ws chs; 2002 products send the key only")
class KeypadButton(Message):
    """Key: 0-9, 14 is the star, 15 the pound sign."""

    key: U32 = 0
    line: U32 = 0
    call_reference: U32 = 0


@row(0x0004, UP, "ws chs")
class EnblocCall(Message):
    number: Text24 = ""


@row(0x0005, UP, "ws chs; 2002 products send 8 bytes")
class Stimulus(Message):
    stimulus: U32 = 0
    instance: U32 = 0
    call_reference: U32 = 0
    status: U32 = 0


@row(0x0026, UP, "ws chs ndpi")
class SoftKeyEvent(Message):
    """Event: 1 redial, 2 new call, 3 hold, 4 transfer, 9 end call, 10 resume, 11 answer."""

    event: U32 = 0
    line: U32 = 0
    call_reference: U32 = 0


@row(0x0082, DOWN, "ws chs ndpi; CallManager 2.x sends 4 bytes")
class StartTone(Message):
    """Tone: 0x21 dial, 0x23 busy, 0x24 alerting, 0x25 reorder."""

    tone: U32 = 0
    tone_direction: U32 = 0
    line: U32 = 0
    call_reference: U32 = 0


@row(0x0083, DOWN, "ws chs; CallManager 2.x sends no body, version 11 and later a tone as well")
class StopTone(Message):
    line: U32 = 0
    call_reference: U32 = 0


@row(0x0085, DOWN, "ws chs ndpi; CallManager 2.x sends 4 bytes")
class SetRinger(Message):
    """Mode: 1 off, 2 inside, 3 outside. Duration: 1 normal, 2 single."""

    mode: U32 = 0
    duration: U32 = 0
    line: U32 = 0
    call_reference: U32 = 0


@row(0x0086, DOWN, "ws chs ndpi")
class SetLamp(Message):
    """Stimulus: 9 line. Mode: 1 off, 2 on, 3 wink, 4 flash, 5 blink."""

    stimulus: U32 = 0
    instance: U32 = 0
    mode: U32 = 0


@row(0x0088, DOWN, "ws chs ndpi")
class SetSpeakerMode(Message):
    """Mode: 1 on, 2 off."""

    mode: U32 = 0


@row(0x0111, DOWN, "ws chs ndpi")
class CallState(Message):
    """State: 0 idle, 1 off hook, 2 on hook, 3 ring out, 4 ring in, 5 connected, 6 busy, 7 congestion, 8 hold, 9 call waiting,
    10 transfer, 11 park, 12 proceed, 13 remote multiline, 14 invalid number. Precedence level 4 is routine."""

    state: U32 = 0
    line: U32 = 0
    call_reference: U32 = 0
    privacy: U32 = 0
    precedence_level: U32 = 4
    precedence_domain: U32 = 0


class Mailbox(Layout):
    number: Text24 = ""


@row(0x008F, DOWN, "ws chs; CallManager 2.x sends 128 bytes")
class CallInfo(Message):
    """Kind: 1 inbound, 2 outbound, 3 forwarded."""

    calling_name: Text40 = ""
    calling_number: Text24 = ""
    called_name: Text40 = ""
    called_number: Text24 = ""
    line: U32 = 0
    call_reference: U32 = 0
    kind: U32 = 0
    original_called_name: Text40 = ""
    original_called_number: Text24 = ""
    last_redirecting_name: Text40 = ""
    last_redirecting_number: Text24 = ""
    original_called_reason: U32 = 0
    last_redirecting_reason: U32 = 0
    mailboxes: Annotated[tuple[Mailbox, ...], Records(Mailbox, 4)] = ()
    call_instance: U32 = 0
    security_status: U32 = 0
    restrictions: U32 = 0


@row(0x011D, DOWN, "ws chs")
class DialedNumber(Message):
    number: Text24 = ""
    line: U32 = 0
    call_reference: U32 = 0


@row(0x011D, DOWN, "ws chs ndpi; directory numbers of 25 bytes, packed", since=18)
class DialedNumberVersion18(Message):
    number: Text25 = ""
    line: U32 = 0
    call_reference: U32 = 0
    padding: Octets3 = b""


@row(0x0112, DOWN, "ws chs")
class DisplayPromptStatus(Message):
    timeout_s: U32 = 0
    text: Text32 = ""
    line: U32 = 0
    call_reference: U32 = 0


@row(0x0113, DOWN, "ws chs")
class ClearPromptStatus(Message):
    line: U32 = 0
    call_reference: U32 = 0


@row(0x0114, DOWN, "ws chs")
class DisplayNotify(Message):
    timeout_s: U32 = 0
    text: Text32 = ""


@row(0x0120, DOWN, "ws chs")
class DisplayPriNotify(Message):
    timeout_s: U32 = 0
    priority: U32 = 0
    text: Text32 = ""


@row(0x0110, DOWN, "ws chs ndpi")
class SelectSoftKeys(Message):
    """Set: 0 on hook, 1 connected, 2 on hold, 3 ring in, 4 off hook, 8 ring out."""

    line: U32 = 0
    call_reference: U32 = 0
    set_index: U32 = 0
    mask: U32 = 0xFFFFFFFF


@row(0x0116, DOWN, "ws chs ndpi")
class ActivateCallPlane(Message):
    line: U32 = 0


@row(0x0117, DOWN, "ws chs")
class DeactivateCallPlane(Message):
    pass
