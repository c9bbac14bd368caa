"""``SEP<MAC>.cnf.xml`` and ``XMLDefault.cnf.xml``: what a phone learns by TFTP before it registers.

Paths and values as in CallManager 4.1's own files; elements that are not read here are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from testbed.bounded_xml import Element, XmlError, parse_xml
from testbed.errors import PeerProtocolError

SCCP_PORT = 2000
MAX_CALL_CONTROLS = 3
"""A phone keeps three call managers, the first by priority; a group that lists more has the rest ignored."""
MAX_URL_CHARS = 256
TOS_SIGNALLING = 104
"""AF31: what Table 11-4 of the design guide asks of SCCP, for a file without ``dscpForCm2Dvce``."""
TOS_SERVICES = 0
"""HTTP carries no mark by default (Table 11-4)."""

_LOAD = re.compile(r"loadInformation(\d{1,9})")
_HOST = re.compile(r"[!-~]{1,255}")
_URL = re.compile(r"[!-~\u00a1-\uffff]*")


class SepFileError(PeerProtocolError):
    """Not a phone's configuration file; the message says what is wrong and where (line and column, or path)."""


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class CallControlAddress:
    """One member of the call-manager group; ``priority`` 0 is the primary."""

    priority: int
    host: str
    port: int = SCCP_PORT


@dataclass(frozen=True, kw_only=True, slots=True)
class PhoneUrls:
    """The phone's URL settings, each one string without a fallback; "" where not set. ``proxy`` is ``host:port``."""

    services: str = ""
    directory: str = ""
    information: str = ""
    messages: str = ""
    authentication: str = ""
    idle: str = ""
    proxy: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SepFile:
    """A configuration file as read; ``root`` is ``device`` (one phone's own) or ``Default`` (any phone's)."""

    root: str
    call_controls: tuple[CallControlAddress, ...]
    """In order of priority, one to three."""
    urls: PhoneUrls
    connection_monitor_s: float = 0.0
    """How long a better call control must answer before the phone goes back to it; 0 where not set."""
    idle_timeout_s: float = 0.0
    """Until the idle URL is fetched; 0 = never."""
    tos_signalling: int = TOS_SIGNALLING
    """``dscpForCm2Dvce``: the whole TOS octet, as all three are."""
    tos_config: int = 0
    tos_services: int = TOS_SERVICES
    device_pool: str = ""
    date_template: str = ""
    time_zone: str = ""
    srst_option: str = ""
    srst: tuple[CallControlAddress, ...] = ()
    load: str = ""
    loads: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
    """Of a Default file: load by device type."""
    version_stamp: str = ""


def parse_sep_file(content: bytes) -> SepFile:
    """Read either file; raises SepFileError."""
    try:
        root = parse_xml(content)
    except XmlError as error:
        raise SepFileError(error.message) from None
    if root.name not in ("device", "Default"):
        raise SepFileError(f"root element is {root.name!r}", hint="known: device, Default")
    # In a Default file the call-manager group is a child of the root, in a device file of its pool.
    pool = root.find("devicePool") or root
    return SepFile(
        root=root.name,
        call_controls=_call_controls(pool),
        urls=_urls(root),
        connection_monitor_s=_number(pool, "connectionMonitorDuration", default=0, most=86_400),
        idle_timeout_s=_number(root, "idleTimeout", default=0, most=86_400),
        tos_signalling=_number(root, "dscpForCm2Dvce", default=TOS_SIGNALLING, most=255),
        tos_config=_number(root, "dscpForSCCPPhoneConfig", default=0, most=255),
        tos_services=_number(root, "dscpForSCCPPhoneServices", default=TOS_SERVICES, most=255),
        device_pool=pool.text_of("name"),
        date_template=pool.text_of("dateTimeSetting/dateTemplate"),
        time_zone=pool.text_of("dateTimeSetting/timeZone"),
        srst_option=pool.text_of("srstInfo/srstOption"),
        srst=_srst(pool),
        load=root.text_of("loadInformation"),
        loads=MappingProxyType(
            {int(match[1]): child.text for child in root.children if (match := _LOAD.fullmatch(child.name))}
        ),
        version_stamp=root.text_of("versionStamp"),
    )


def _call_controls(pool: Element) -> tuple[CallControlAddress, ...]:
    where = "callManagerGroup/members"
    members = pool.find(where)
    found = [
        _call_control(member, f"{where}/member[{index}]")
        for index, member in enumerate(members.all("member") if members else (), start=1)
    ]
    if not found:
        raise SepFileError(f"{where}: no call manager listed")
    return tuple(sorted(found, key=lambda address: address.priority)[:MAX_CALL_CONTROLS])


def _call_control(member: Element, where: str) -> CallControlAddress:
    priority = _whole(member.attributes.get("priority", ""), f"{where}/@priority", default=0, most=255)
    manager = member.find("callManager") or member
    host = manager.text_of("processNodeName")
    if not _HOST.fullmatch(host):
        raise SepFileError(f"{where}/callManager/processNodeName: no host: {host[:40]!r}")
    return CallControlAddress(priority=priority, host=host, port=_port(manager, "ports/ethernetPhonePort", where))


def _srst(pool: Element) -> tuple[CallControlAddress, ...]:
    """The gateways of ``srstInfo``; they rank after all call managers."""
    info = pool.find("srstInfo")
    if info is None:
        return ()
    return tuple(
        CallControlAddress(priority=MAX_CALL_CONTROLS + index, host=host, port=_port(info, f"port{index}", "srstInfo"))
        for index in (1, 2, 3)
        if (host := info.text_of(f"ipAddr{index}"))
    )


def _urls(root: Element) -> PhoneUrls:
    return PhoneUrls(
        services=_url(root, "servicesURL"),
        directory=_url(root, "directoryURL"),
        information=_url(root, "informationURL"),
        messages=_url(root, "messagesURL"),
        authentication=_url(root, "authenticationURL"),
        idle=_url(root, "idleURL"),
        proxy=_url(root, "proxyServerURL"),
    )


def _url(root: Element, name: str) -> str:
    url = root.text_of(name)
    if len(url) > MAX_URL_CHARS or not _URL.fullmatch(url):
        raise SepFileError(f"{name}: no URL of at most {MAX_URL_CHARS} characters without spaces: {url[:60]!r}")
    return url


def _port(element: Element, path: str, where: str) -> int:
    return _whole(element.text_of(path), f"{where}/{path}", default=SCCP_PORT, most=65_535) or SCCP_PORT


def _number(element: Element, path: str, *, default: int, most: int) -> int:
    return _whole(element.text_of(path), path, default=default, most=most)


def _whole(text: str, where: str, *, default: int, most: int) -> int:
    """``text`` as a whole number from 0 to ``most``; an empty one is the default."""
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) <= most):
        raise SepFileError(f"{where}: not a whole number from 0 to {most}: {text[:40]!r}")
    return int(text)
