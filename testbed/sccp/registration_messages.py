"""Rows of the table: registration, tokens and liveness (protocol 3 to 5, header version 0).

Sources: ws = Wireshark's SkinnyProtocolOptimized.xml; chs = chan-sccp's sccp_protocol.h; ndpi, pyskinny = public captures that
were compared byte by byte. Body sizes are those that tshark decodes without "malformed" and that real phones take.
"""

from __future__ import annotations

from testbed.sccp.layout import NO_ADDRESS, U8, U16, U32, IPv4, Text6, Text16, Text32, Text80
from testbed.sccp.message import DOWN, UP, Message, row


@row(0x0000, UP, "ws chs pyskinny")
class KeepAlive(Message):
    pass


@row(0x0100, DOWN, "ws chs ndpi")
class KeepAliveAck(Message):
    pass


@row(0x0001, UP, "ws chs ndpi; 52 bytes as a gateway of 2009 sends")
class Register(Message):
    device_name: Text16 = ""
    user_id: U32 = 0
    instance: U32 = 1
    address: IPv4 = NO_ADDRESS
    device_type: U32 = 0
    max_streams: U32 = 0
    active_streams: U32 = 0
    protocol_version: U8 = 0
    unknown: U8 = 0
    features: U16 = 0
    max_conferences: U32 = 0
    active_conferences: U32 = 0


@row(0x0081, DOWN, "ws chs ndpi")
class RegisterAck(Message):
    """Intervals in seconds. The version octets are the highest protocol the call control speaks, and its features."""

    keepalive_interval_s: U32 = 0
    date_template: Text6 = ""
    padding: U16 = 0
    secondary_keepalive_interval_s: U32 = 0
    max_protocol_version: U8 = 0
    unknown: U8 = 0
    features: U16 = 0


@row(0x009D, DOWN, "ws chs")
class RegisterReject(Message):
    text: Text32 = ""


@row(0x0002, UP, "ws chs ndpi")
class IpPort(Message):
    rtp_media_port: U32 = 0


@row(0x0020, UP, "ws chs")
class Alarm(Message):
    """Severity: 0 critical, 1 warning, 2 informational, 4 unknown, 7 major, 8 minor, 10 marginal, 20 trace."""

    severity: U32 = 0
    text: Text80 = ""
    parameter_1: U32 = 0
    parameter_2: U32 = 0


@row(0x0027, UP, "ws chs")
class Unregister(Message):
    pass


@row(0x0118, DOWN, "ws chs")
class UnregisterAck(Message):
    """Status: 0 done, 1 error, 2 refused since a call is up."""

    status: U32 = 0


@row(0x0029, UP, "ws chs; 36 bytes are clean in tshark, the last word belongs to an IPv6 address of newer versions")
class RegisterTokenReq(Message):
    device_name: Text16 = ""
    user_id: U32 = 0
    instance: U32 = 1
    address: IPv4 = NO_ADDRESS
    device_type: U32 = 0
    reserved: U32 = 0


@row(0x011A, DOWN, "ws chs")
class RegisterTokenAck(Message):
    pass


@row(0x011B, DOWN, "ws chs")
class RegisterTokenReject(Message):
    wait_s: U32 = 0


@row(0x009F, DOWN, "ws chs")
class Reset(Message):
    """Kind: 1 reset, 2 restart, 3 apply the configuration."""

    kind: U32 = 0
