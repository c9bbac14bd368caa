"""Rows of the table: media (protocol 3 to 5, and 17 and later where captures need it).

Sources as in registration_messages.py; wiki-jul23 = a public capture of a CP-7941G in 2009.
"""

from __future__ import annotations

from typing import Annotated

from testbed.sccp.layout import NO_ADDRESS, U16, U32, IPv4, Octets, Text24
from testbed.sccp.message import DOWN, UP, Message, row

EncryptionInfo = Annotated[bytes, Octets(48)]


@row(0x0105, DOWN, "ws chs; CallManager 4.1 sends 68 bytes, one of 2009 88; tshark needs 92, chan-sccp sends 108")
class OpenReceiveChannel(Message):
    conference: U32 = 0
    pass_through_party: U32 = 0
    milliseconds: U32 = 0
    codec: U32 = 0
    echo_cancellation: U32 = 0
    g723_rate: U32 = 0
    call_reference: U32 = 0
    encryption: EncryptionInfo = b""
    stream: U32 = 0
    associated_stream: U32 = 0
    rfc2833_type: U32 = 0
    dtmf_type: U32 = 0
    mixing_mode: U32 = 0
    mixing_direction: U32 = 0
    source_address: IPv4 = NO_ADDRESS
    source_port: U32 = 0


@row(0x0105, DOWN, "ws chs ndpi; addresses are a family (0 IPv4) and 16 bytes", since=17)
class OpenReceiveChannelVersion17(Message):
    conference: U32 = 0
    pass_through_party: U32 = 0
    milliseconds: U32 = 0
    codec: U32 = 0
    echo_cancellation: U32 = 0
    codec_parameters: U32 = 0
    call_reference: U32 = 0
    encryption: EncryptionInfo = b""
    stream: U32 = 0
    associated_stream: U32 = 0
    rfc2833_type: U32 = 0
    dtmf_type: U32 = 0
    mixing_mode: U32 = 0
    mixing_direction: U32 = 0
    source_family: U32 = 0
    source_address: IPv4 = NO_ADDRESS
    source_address_rest: Annotated[bytes, Octets(12)] = b""
    source_port: U32 = 0
    requested_family: U32 = 0


@row(0x0022, UP, "ws chs wiki-jul23; older products send 16 bytes")
class OpenReceiveChannelAck(Message):
    """Status: 0 done."""

    status: U32 = 0
    address: IPv4 = NO_ADDRESS
    port: U32 = 0
    pass_through_party: U32 = 0
    call_reference: U32 = 0


@row(0x0022, UP, "ws chs ndpi", since=17)
class OpenReceiveChannelAckVersion17(Message):
    status: U32 = 0
    family: U32 = 0
    address: IPv4 = NO_ADDRESS
    address_rest: Annotated[bytes, Octets(12)] = b""
    port: U32 = 0
    pass_through_party: U32 = 0
    call_reference: U32 = 0


@row(0x008A, DOWN, "ws chs; CallManager 4.1 sends 84 bytes, one of 2009 104; tshark needs 112, chan-sccp sends 116")
class StartMediaTransmission(Message):
    """``precedence`` is the whole TOS octet, not the code point: 184 is EF (three public captures agree)."""

    conference: U32 = 0
    pass_through_party: U32 = 0
    remote_address: IPv4 = NO_ADDRESS
    remote_port: U32 = 0
    milliseconds: U32 = 0
    codec: U32 = 0
    precedence: U32 = 0
    silence_suppression: U32 = 0
    max_frames_per_packet: U16 = 0
    padding: U16 = 0
    g723_rate: U32 = 0
    call_reference: U32 = 0
    encryption: EncryptionInfo = b""
    stream: U32 = 0
    associated_stream: U32 = 0
    rfc2833_type: U32 = 0
    dtmf_type: U32 = 0
    mixing_mode: U32 = 0
    mixing_direction: U32 = 0


@row(0x008A, DOWN, "ws chs ndpi", since=17)
class StartMediaTransmissionVersion17(Message):
    conference: U32 = 0
    pass_through_party: U32 = 0
    remote_family: U32 = 0
    remote_address: IPv4 = NO_ADDRESS
    remote_address_rest: Annotated[bytes, Octets(12)] = b""
    remote_port: U32 = 0
    milliseconds: U32 = 0
    codec: U32 = 0
    precedence: U32 = 0
    silence_suppression: U32 = 0
    max_frames_per_packet: U16 = 0
    padding: U16 = 0
    codec_parameters: U32 = 0
    call_reference: U32 = 0
    encryption: EncryptionInfo = b""
    stream: U32 = 0
    associated_stream: U32 = 0
    rfc2833_type: U32 = 0
    dtmf_type: U32 = 0
    mixing_mode: U32 = 0
    mixing_direction: U32 = 0


@row(0x0154, UP, "ws chs")
class StartMediaTransmissionAck(Message):
    conference: U32 = 0
    pass_through_party: U32 = 0
    call_reference: U32 = 0
    address: IPv4 = NO_ADDRESS
    port: U32 = 0
    status: U32 = 0


@row(0x0154, UP, "ws chs ndpi", since=17)
class StartMediaTransmissionAckVersion17(Message):
    conference: U32 = 0
    pass_through_party: U32 = 0
    call_reference: U32 = 0
    family: U32 = 0
    address: IPv4 = NO_ADDRESS
    address_rest: Annotated[bytes, Octets(12)] = b""
    port: U32 = 0
    status: U32 = 0


@row(0x0106, DOWN, "ws chs wiki-jul23; CallManager 3.1 sends 8 bytes")
class CloseReceiveChannel(Message):
    """Port handling: 0 closes the port."""

    conference: U32 = 0
    pass_through_party: U32 = 0
    call_reference: U32 = 0
    port_handling: U32 = 0


@row(0x008B, DOWN, "ws chs wiki-jul23")
class StopMediaTransmission(Message):
    conference: U32 = 0
    pass_through_party: U32 = 0
    call_reference: U32 = 0
    port_handling: U32 = 0


@row(0x0107, DOWN, "ws chs")
class ConnectionStatisticsReq(Message):
    """Mode: 0 clears the figures."""

    number: Text24 = ""
    call_reference: U32 = 0
    mode: U32 = 0


@row(0x0023, UP, "ws chs")
class ConnectionStatisticsRes(Message):
    number: Text24 = ""
    call_reference: U32 = 0
    mode: U32 = 0
    packets_sent: U32 = 0
    octets_sent: U32 = 0
    packets_received: U32 = 0
    octets_received: U32 = 0
    packets_lost: U32 = 0
    jitter: U32 = 0
    latency: U32 = 0
