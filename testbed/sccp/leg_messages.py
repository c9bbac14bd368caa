"""What a call control tells a phone about a call, in the order of real call controls (facts: a call on a CP-7941G, a new call on 4.1)."""

from __future__ import annotations

from testbed.sccp.call_codes import (
    INBOUND,
    LINE_LAMP,
    OUTBOUND,
    SPEAKER_OFF,
    SPEAKER_ON,
    CallStateCode,
    KeySet,
    Lamp,
    Ringer,
    ToneCode,
)
from testbed.sccp.call_messages import (
    ActivateCallPlane,
    CallInfo,
    CallState,
    ClearPromptStatus,
    DialedNumber,
    DisplayNotify,
    DisplayPromptStatus,
    SelectSoftKeys,
    SetLamp,
    SetRinger,
    SetSpeakerMode,
    StartTone,
    StopTone,
)
from testbed.sccp.leg import Leg
from testbed.sccp.media_messages import (
    CloseReceiveChannel,
    ConnectionStatisticsReq,
    OpenReceiveChannel,
    StartMediaTransmission,
    StopMediaTransmission,
)
from testbed.sccp.message import Message

G711_MU_LAW, PACKET_MS = 4, 20
CLEAR = 0
"""Mode of ConnectionStatisticsReq: tell the figures and forget them."""
NOTIFY_S = 10


def dial_tone(leg: Leg) -> list[Message]:
    """A line was taken."""
    return [
        SetRinger(mode=Ringer.OFF, duration=1, line=leg.line, call_reference=leg.reference),
        SetSpeakerMode(mode=SPEAKER_ON),
        SetLamp(stimulus=LINE_LAMP, instance=leg.line, mode=Lamp.ON),
        _state(leg, CallStateCode.OFF_HOOK),
        _keys(leg, KeySet.OFF_HOOK),
        _prompt(leg, "Enter number"),
        ActivateCallPlane(line=leg.line),
        _tone(leg, ToneCode.DIAL),
    ]


def first_digit(leg: Leg) -> list[Message]:
    """The dial tone ends."""
    return [StopTone(line=leg.line, call_reference=leg.reference)]


def ring_out(leg: Leg) -> list[Message]:
    """The other phone rings."""
    return [
        DialedNumber(number=leg.digits, line=leg.line, call_reference=leg.reference),
        _state(leg, CallStateCode.PROCEED),
        _info(leg, OUTBOUND),
        _state(leg, CallStateCode.RING_OUT),
        _keys(leg, KeySet.RING_OUT),
        _prompt(leg, "Ring Out"),
        _tone(leg, ToneCode.ALERTING),
    ]


def ring_in(leg: Leg) -> list[Message]:
    """It rings."""
    caller = leg.other.number if leg.other else ""
    return [
        _state(leg, CallStateCode.RING_IN),
        _keys(leg, KeySet.RING_IN),
        _prompt(leg, f"From {caller}"),
        DisplayNotify(timeout_s=NOTIFY_S, text=f"From {caller}"),
        _info(leg, INBOUND),
        SetLamp(stimulus=LINE_LAMP, instance=leg.line, mode=Lamp.BLINK),
        SetRinger(mode=Ringer.INSIDE, duration=1, line=leg.line, call_reference=leg.reference),
    ]


def answered(leg: Leg) -> list[Message]:
    """Of the phone that answers, before it is connected."""
    return [
        SetRinger(mode=Ringer.OFF, duration=1, line=leg.line, call_reference=leg.reference),
        SetSpeakerMode(mode=SPEAKER_ON),
        SetLamp(stimulus=LINE_LAMP, instance=leg.line, mode=Lamp.ON),
        _state(leg, CallStateCode.OFF_HOOK),
        ActivateCallPlane(line=leg.line),
    ]


def connected(leg: Leg, *, is_caller: bool) -> list[Message]:
    """Talking, from now on or again; the channel for what the other says is to be opened."""
    return [
        StopTone(line=leg.line, call_reference=leg.reference),
        _state(leg, CallStateCode.CONNECTED),
        _keys(leg, KeySet.CONNECTED),
        _prompt(leg, "Connected"),
        _info(leg, OUTBOUND if is_caller else INBOUND),
        OpenReceiveChannel(
            conference=leg.call,
            pass_through_party=leg.reference,
            milliseconds=PACKET_MS,
            codec=G711_MU_LAW,
            call_reference=leg.reference,
        ),
    ]


def start_media(leg: Leg, remote: tuple[str, int], tos: int) -> Message:
    """Send to ``remote``; ``tos`` is the whole octet."""
    return StartMediaTransmission(
        conference=leg.call,
        pass_through_party=leg.reference,
        remote_address=remote[0],
        remote_port=remote[1],
        milliseconds=PACKET_MS,
        codec=G711_MU_LAW,
        precedence=tos,
        call_reference=leg.reference,
    )


def end_media(leg: Leg) -> list[Message]:
    """Close both ways."""
    ids = {"conference": leg.call, "pass_through_party": leg.reference, "call_reference": leg.reference}
    return [CloseReceiveChannel(**ids), StopMediaTransmission(**ids)]


def ask_for_figures(leg: Leg) -> Message:
    """How was it?"""
    return ConnectionStatisticsReq(number=leg.number, call_reference=leg.reference, mode=CLEAR)


def on_hold(leg: Leg) -> list[Message]:
    """Of the phone that holds."""
    return [
        _state(leg, CallStateCode.HOLD),
        SetLamp(stimulus=LINE_LAMP, instance=leg.line, mode=Lamp.WINK),
        _keys(leg, KeySet.ON_HOLD),
        _prompt(leg, "Hold"),
        SetSpeakerMode(mode=SPEAKER_OFF),
    ]


def held(leg: Leg) -> list[Message]:
    """Of the phone that is held: still connected, and told so."""
    return [_prompt(leg, "On hold by the other side")]


def refused(leg: Leg, *, is_busy: bool, is_known: bool) -> list[Message]:
    """Busy tone, or the tone for a number that leads nowhere."""
    state = CallStateCode.BUSY if is_busy else CallStateCode.CONGESTION if is_known else CallStateCode.INVALID_NUMBER
    text = "Busy" if is_busy else "Not available" if is_known else "Unknown number"
    return [
        StopTone(line=leg.line, call_reference=leg.reference),
        _state(leg, state),
        _prompt(leg, text),
        _tone(leg, ToneCode.BUSY if is_busy else ToneCode.REORDER),
    ]


def on_hook(leg: Leg) -> list[Message]:
    """It is over."""
    return [
        StopTone(line=leg.line, call_reference=leg.reference),
        SetRinger(mode=Ringer.OFF, duration=1, line=leg.line, call_reference=leg.reference),
        SetLamp(stimulus=LINE_LAMP, instance=leg.line, mode=Lamp.OFF),
        ClearPromptStatus(line=leg.line, call_reference=leg.reference),
        _state(leg, CallStateCode.ON_HOOK),
        _keys(leg, KeySet.ON_HOOK),
        SetSpeakerMode(mode=SPEAKER_OFF),
    ]


def _state(leg: Leg, state: CallStateCode) -> Message:
    return CallState(state=state, line=leg.line, call_reference=leg.reference)


def _keys(leg: Leg, key_set: KeySet) -> Message:
    return SelectSoftKeys(line=leg.line, call_reference=leg.reference, set_index=key_set)


def _prompt(leg: Leg, text: str) -> Message:
    return DisplayPromptStatus(text=text[:32], line=leg.line, call_reference=leg.reference)


def _tone(leg: Leg, tone: ToneCode) -> Message:
    return StartTone(tone=tone, line=leg.line, call_reference=leg.reference)


def _info(leg: Leg, kind: int) -> Message:
    other = leg.other.number if leg.other else leg.digits
    calling, called = (leg.number, other) if kind == OUTBOUND else (other, leg.number)
    return CallInfo(
        calling_name=f"Phone {calling}",
        calling_number=calling,
        called_name=f"Phone {called}",
        called_number=called,
        line=leg.line,
        call_reference=leg.reference,
        kind=kind,
        original_called_name=f"Phone {called}",
        original_called_number=called,
        call_instance=1,
    )
