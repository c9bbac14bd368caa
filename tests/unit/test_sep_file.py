"""Configuration files: our own templates, the product's forms, and what is refused."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.sep_file import CallControlAddress, SepFileError, parse_sep_file

COMPOSE = Path(__file__).parents[2] / "compose"
GROUP = (
    "<callManagerGroup><members>"
    '<member priority="1"><callManager><ports><ethernetPhonePort>2100</ethernetPhonePort></ports>'
    "<processNodeName>ccm-bk</processNodeName></callManager></member>"
    '<member priority="0"><callManager><processNodeName>ccm-1</processNodeName></callManager></member>'
    "</members></callManagerGroup>"
)


def device(inside: str = "", *, pool: str = "", tag: str = "device") -> bytes:
    return f"<{tag}><devicePool>{GROUP}{pool}</devicePool>{inside}</device>".encode()


def rendered(name: str) -> bytes:
    text = (COMPOSE / name).read_text()
    values = {"BED_PREFIX": "172.26", "IDLE_TIMEOUT": "3", "DEVICE_NAME": "SEP020000000001"}
    for key, value in values.items():
        text = text.replace("${" + key + "}", value)
    assert "${" not in text
    return text.encode()


@pytest.mark.parametrize("folder", ["tftp", "tftp-no-slb"])
@pytest.mark.parametrize("file", ["SEP.cnf.xml.template", "XMLDefault.cnf.xml"])
def test_the_beds_own_files_name_both_call_controls_in_order(folder: str, file: str) -> None:
    sep = parse_sep_file(rendered(f"{folder}/{file}"))
    assert sep.call_controls == (
        CallControlAddress(priority=0, host="172.26.1.100", port=2000),
        CallControlAddress(priority=1, host="172.26.1.101", port=2000),
    )
    assert (sep.tos_signalling, sep.tos_services) == (104, 0)
    assert sep.idle_timeout_s == 3
    assert sep.connection_monitor_s == 0
    assert sep.urls.proxy == "172.26.1.20:8080"


@pytest.mark.parametrize("file", ["SEP.cnf.xml.template", "XMLDefault.cnf.xml"])
def test_with_an_slb_the_urls_name_the_vips(file: str) -> None:
    urls = parse_sep_file(rendered(f"tftp/{file}")).urls
    pages = (urls.services, urls.directory, urls.information, urls.messages, urls.authentication)
    assert all(url.startswith("http://172.26.1.1/CCMCIP/") for url in pages)
    assert urls.idle == "http://172.26.1.2/idle"


@pytest.mark.parametrize("file", ["SEP.cnf.xml.template", "XMLDefault.cnf.xml"])
def test_without_an_slb_the_urls_name_ccm_1_and_web_1(file: str) -> None:
    urls = parse_sep_file(rendered(f"tftp-no-slb/{file}")).urls
    pages = (urls.services, urls.directory, urls.information, urls.messages, urls.authentication)
    assert all(url.startswith("http://172.26.1.100/CCMCIP/") for url in pages)
    assert urls.idle == "http://172.26.1.111/idle"


def test_the_template_has_the_products_undeclared_prefix() -> None:
    content = rendered("tftp/SEP.cnf.xml.template")
    assert b"xsi:type=" in content
    assert b"xmlns" not in content


def test_members_come_in_order_of_priority_with_the_default_port() -> None:
    sep = parse_sep_file(device())
    assert [(cc.host, cc.port) for cc in sep.call_controls] == [("ccm-1", 2000), ("ccm-bk", 2100)]


def test_only_three_call_managers_are_kept() -> None:
    members = "".join(
        f'<member priority="{n}"><callManager><processNodeName>c{n}</processNodeName></callManager></member>'
        for n in range(5)
    )
    content = f"<Default><callManagerGroup><members>{members}</members></callManagerGroup></Default>".encode()
    assert [cc.host for cc in parse_sep_file(content).call_controls] == ["c0", "c1", "c2"]


@pytest.mark.parametrize(
    "tag",
    [
        'device xsi:type="axl:XIPPhone"',
        'device xsi:type="axl:XIPPhone" xsi:type="axl:XIPPhone"',
        "device xsi:type='a'\n xsi:nil='b' ctiid=\"1\"",
        'device xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="axl:XIPPhone"',
    ],
)
def test_the_xsi_prefix_needs_no_declaration(tag: str) -> None:
    assert len(parse_sep_file(device(tag=tag)).call_controls) == 2


def test_missing_values_have_the_defaults_of_the_page() -> None:
    sep = parse_sep_file(device())
    assert (sep.tos_signalling, sep.tos_services, sep.idle_timeout_s, sep.connection_monitor_s) == (104, 0, 0, 0)
    assert sep.urls.services == sep.urls.proxy == ""


def test_values_are_read_from_their_places() -> None:
    sep = parse_sep_file(
        device(
            "<idleTimeout>60</idleTimeout><dscpForCm2Dvce>96</dscpForCm2Dvce><loadInformation>P003</loadInformation>"
            "<versionStamp>{1}</versionStamp><messagesURL> http://m/ </messagesURL>",
            pool="<name>Voice</name><connectionMonitorDuration>120</connectionMonitorDuration>"
            "<srstInfo><srstOption>Enable</srstOption><ipAddr1>10.0.0.9</ipAddr1><port1>2001</port1><ipAddr2/></srstInfo>",
        )
    )
    assert (sep.idle_timeout_s, sep.tos_signalling, sep.connection_monitor_s) == (60, 96, 120)
    assert (sep.device_pool, sep.load, sep.version_stamp, sep.urls.messages) == ("Voice", "P003", "{1}", "http://m/")
    assert (sep.srst_option, [(cc.host, cc.port) for cc in sep.srst]) == ("Enable", [("10.0.0.9", 2001)])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no element found"),
        (b"not XML", "line 1, column 1"),
        (b"<device><devicePool>", "line 1, column 21"),
        (b"<html/>", "root element is 'html'"),
        (b"<device/>", "no call manager listed"),
        (b'<!DOCTYPE device [<!ENTITY a "b">]>' + device("<idleURL>&a;</idleURL>"), "DOCTYPE"),
        (b'<!DOCTYPE device SYSTEM "file:///etc/passwd">' + device(), "DOCTYPE"),
        (device("<idleURL>&nbsp;</idleURL>"), "undefined entity"),
        (device("<idleTimeout>soon</idleTimeout>"), "idleTimeout: not a whole number from 0 to 86400: 'soon'"),
        (device("<dscpForCm2Dvce>256</dscpForCm2Dvce>"), "dscpForCm2Dvce"),
        (device("<dscpForCm2Dvce>-1</dscpForCm2Dvce>"), "dscpForCm2Dvce"),
        (device("<servicesURL>http://a b</servicesURL>"), "servicesURL"),
        (device(f"<servicesURL>http://{'a' * 260}</servicesURL>"), "servicesURL"),
        (device().replace(b"2100", b"65536"), "member[1]/ports/ethernetPhonePort"),
        (device().replace(b"ccm-1", b""), "member[2]/callManager/processNodeName"),
        (device().replace(b'"0"', b'"first"'), "member[2]/@priority"),
        (device("<x>" * 40 + "</x>" * 40), "nested more than 32 deep"),
        (device("<x/>" * 10_000), "more than 10000 elements"),
        (device("<x>" + " " * 300_000 + "</x>"), "more than the 262144 allowed"),
        (b'<?xml version="1.0" encoding="klingon"?>' + device(), "unknown encoding"),
        (b'<?xml version="1.0" encoding="undefined"?>' + device(), "undefined"),
        (b"<device>\0</device>", "line 1"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(content: bytes, said: str) -> None:
    with pytest.raises(SepFileError, match=r"(?s).") as caught:
        parse_sep_file(content)
    assert said in caught.value.message


@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise_anything_else(content: bytes) -> None:
    with pytest.raises(SepFileError):
        parse_sep_file(content)


@given(st.integers(0, 400), st.binary(max_size=3))
def test_no_damage_to_a_file_makes_it_raise_anything_else(place: int, change: bytes) -> None:
    content = device("<idleTimeout>60</idleTimeout>")
    damaged = content[:place] + change + content[place + len(change) :]
    with contextlib.suppress(SepFileError):
        assert parse_sep_file(damaged).call_controls


SAMPLES = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("chan-sccp-SEP_7940_7960.cnf.xml", ("device", ["[x.x.x.x]"], 184, 3600, 0)),
        ("chan-sccp-XMLDefault.cnf.xml", ("Default", ["10.0.0.1", "10.0.0.2"], 104, 0, 0)),
        ("pyskinny-SEP001380AD9E5F.cnf.xml", ("device", ["10.102.172.11"], 96, 0, 120)),
    ],
)
def test_files_of_other_projects_are_read(file: str, expected: tuple[object, ...]) -> None:
    path = SAMPLES / file
    if not path.exists():
        pytest.skip(f"third-party samples are not part of the project: {file} is not there")
    sep = parse_sep_file(path.read_bytes())
    hosts = [cc.host for cc in sep.call_controls]
    assert (sep.root, hosts, sep.tos_signalling, sep.idle_timeout_s, sep.connection_monitor_s) == expected
