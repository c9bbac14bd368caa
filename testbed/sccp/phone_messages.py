"""What a phone says when it registers, in the order of a real registration."""

from __future__ import annotations

from collections.abc import Sequence

from testbed.sccp.configuration_messages import (
    Button,
    ButtonTemplateReq,
    CapabilitiesRes,
    Capability,
    ConfigStatReq,
    FeatureStatReq,
    ForwardStatReq,
    LineStatReq,
    RegisterAvailableLines,
    ServiceUrlStatReq,
    SoftKeySetReq,
    SoftKeyTemplateReq,
    SpeedDialStatReq,
    TimeDateReq,
)
from testbed.sccp.message import Message
from testbed.sccp.phone_state import PhoneSettings
from testbed.sccp.registration_messages import Alarm, IpPort, Register, RegisterTokenReq

PROTOCOL_VERSION = 5
"""The last one of the era of the design guide (CallManager 3.x and 4.0); its header version is 0."""
INFORMATIONAL = 2
RTP_PORT = 16384
"""First port a 7960 receives voice on."""
LINE, SPEED_DIAL, FEATURE, SERVICE_URL = 9, 2, 19, 20
G711_MU_LAW, G711_A_LAW, G729, G729_A = 4, 2, 11, 12
CAPABILITIES = tuple(
    Capability(codec=codec, max_frames_per_packet=frames)
    for codec, frames in ((G711_MU_LAW, 40), (G711_A_LAW, 40), (G729, 60), (G729_A, 60))
)
LAST_REASONS = {
    "": "Initialized",
    "timeout": "TCP-timeout",
    "unreachable": "TCP-timeout",
    "closed": "CM-closed-TCP",
    "reset": "CM-aborted-TCP",
    "refused": "CM-aborted-TCP",
    "keepalive": "KeepaliveTO",
    "register-timeout": "RegistrationTO",
    "protocol": "CM-aborted-TCP",
    "fallback": "Failback",
    "reject": "Phone-Reg-Rej",
}
"""Cause of the last loss -> word for ``Last=`` in the Alarm text (the convention is a real one, the words are recalled)."""


def introduction(settings: PhoneSettings, last_cause: str) -> list[Message]:
    """The first three messages: Alarm, Register, IpPort."""
    last = LAST_REASONS.get(last_cause, "Initialized")
    return [
        Alarm(severity=INFORMATIONAL, text=f"Name={settings.device_name} Load={settings.load or '-'} Last={last}"[:80]),
        Register(
            device_name=settings.device_name,
            address=settings.address,
            device_type=settings.device_type,
            max_streams=2,
            protocol_version=PROTOCOL_VERSION,
            max_conferences=1,
        ),
        IpPort(rtp_media_port=RTP_PORT),
    ]


def capabilities_and_templates() -> list[Message]:
    """Sent in one go: old call controls answer some of these and not others, so nothing waits for an answer in between."""
    return [
        CapabilitiesRes(count=len(CAPABILITIES), capabilities=CAPABILITIES),
        ButtonTemplateReq(),
        SoftKeyTemplateReq(),
        SoftKeySetReq(),
        ConfigStatReq(),
    ]


def questions_about(buttons: Sequence[Button]) -> list[Message]:
    """One question for each button of the template, then the end of registration: lines available, time and date."""
    questions: list[Message] = []
    for button in buttons:
        if button.kind == LINE:
            questions += [LineStatReq(line=button.instance), ForwardStatReq(line=button.instance)]
        elif button.kind == SPEED_DIAL:
            questions.append(SpeedDialStatReq(index=button.instance))
        elif button.kind == SERVICE_URL:
            questions.append(ServiceUrlStatReq(index=button.instance))
        elif button.kind == FEATURE:
            questions.append(FeatureStatReq(index=button.instance))
    lines = sum(button.kind == LINE for button in buttons)
    return [*questions, RegisterAvailableLines(max_lines=lines), TimeDateReq()]


def token_request(settings: PhoneSettings) -> Message:
    """May I come back?"""
    return RegisterTokenReq(
        device_name=settings.device_name, address=settings.address, device_type=settings.device_type
    )
