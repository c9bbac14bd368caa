from __future__ import annotations

from pathlib import Path

import pytest
import stories
from pydantic import ValidationError
from recordings import ADDRESSES, PHONES, Recording
from stories import CM_URLS, URLS

from testbed.checks import judge_expectation
from testbed.checks.config_kept import ConfigKeptParams
from testbed.checks.facts import fault_windows
from testbed.checks.fetches import fetches
from testbed.checks.url_targets import predict
from testbed.checks.urls import UrlsParams
from testbed.errors import UsageError
from testbed.verdict import Status, Verdict

ALL = list(URLS)
LIVE = ["idle", "proxy"]
DEAD = list(CM_URLS)


def urls(recording: Recording, path: Path, **params: object) -> Verdict:
    return judge_expectation(recording.write(path), "urls", UrlsParams.model_validate(params))


@pytest.mark.parametrize("when", ["before", "during", "after"])
def test_behind_a_vip_every_url_works(when: str, tmp_path: Path) -> None:
    verdict = urls(stories.urls_with_slb(), tmp_path, work=ALL, when=when)
    assert verdict.status is Status.PASS, verdict.summary
    assert verdict.figures["fetches"] == 14


def test_without_slb_the_urls_of_the_failed_host_die_and_the_others_live(tmp_path: Path) -> None:
    verdict = urls(stories.urls_without_slb(), tmp_path, work=LIVE, fail=DEAD, claim="page")
    assert verdict.status is Status.PASS, verdict.summary
    assert verdict.claim == "page"


@pytest.mark.catches("independent-urls-live")
@pytest.mark.catches("services-menu-loads")
def test_a_url_that_fails_for_one_phone_only_fails(tmp_path: Path) -> None:
    recording = stories.urls_with_slb()
    stories.failed(recording, 6.5, PHONES[1], "services", URLS["services"], "HTTP 503")
    verdict = urls(recording, tmp_path, work=ALL)
    assert verdict.status is Status.FAIL
    assert f"{PHONES[1]} services failed: HTTP 503" in verdict.evidence[0].text


@pytest.mark.catches("dependent-urls-die")
def test_a_url_that_should_be_dead_and_answers_fails(tmp_path: Path) -> None:
    recording = stories.urls_without_slb()
    stories.answered(recording, 6.5, PHONES[0], "services", "http://172.26.1.100/", "ccm-1")
    assert urls(recording, tmp_path, work=LIVE, fail=DEAD).status is Status.FAIL


def test_a_url_that_a_phone_did_not_fetch_is_not_shown(tmp_path: Path) -> None:
    recording = stories.urls_with_slb()
    recording.drop("UrlAnswered", phone=PHONES[1], url_name="idle", served_by="web-1")
    verdict = urls(recording, tmp_path, work=ALL)
    assert verdict.status is Status.INCONCLUSIVE
    assert f"{PHONES[1]} did not fetch idle" in verdict.summary


def test_a_fetch_that_was_under_way_when_the_fault_came_belongs_to_no_part(tmp_path: Path) -> None:
    recording = stories.urls_with_slb()
    stories.failed(recording, stories.BEGAN_S + 0.2, PHONES[0], "services", URLS["services"])
    recording.change("UrlFailed", elapsed_s=1.0)
    assert urls(recording, tmp_path / "1", work=ALL, when="before").status is Status.PASS
    assert urls(recording, tmp_path / "2", work=ALL, when="during").status is Status.PASS


def test_a_fetch_before_the_phones_rehomed_does_not_count(tmp_path: Path) -> None:
    """The page speaks of phones that have re-homed: all of them, so one at 4.1 s is too early."""
    recording = stories.urls_with_slb()
    stories.failed(recording, 4.1, PHONES[0], "services", URLS["services"])
    assert urls(recording, tmp_path, work=ALL).status is Status.PASS


@pytest.mark.parametrize("when", ["during", "after"])
def test_without_a_confirmed_fault_there_is_no_during_and_no_after(when: str, tmp_path: Path) -> None:
    recording = stories.urls_with_slb()
    recording.drop("FaultConfirmed")
    assert urls(recording, tmp_path, work=ALL, when=when).status is Status.INCONCLUSIVE


def test_without_phones_nothing_is_shown(tmp_path: Path) -> None:
    assert urls(stories.booted(phones=0), tmp_path, work=ALL, when="before").status is Status.INCONCLUSIVE


def test_a_list_that_says_nothing_or_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValidationError, match="needs work, fail or derive"):
        UrlsParams()
    with pytest.raises(ValidationError, match="idle cannot both work and fail"):
        UrlsParams(work=("idle",), fail=("idle",))


def derived(recording: Recording, path: Path, **params: object) -> Verdict:
    stories.servers(recording, 1.9, "before")
    return urls(recording, path, derive=True, **params)


def test_survival_is_derived_from_where_urls_point_without_slb(tmp_path: Path) -> None:
    verdict = derived(stories.urls_without_slb(), tmp_path)
    assert verdict.status is Status.PASS, verdict.summary
    assert verdict.figures["fetches"] == 14


def test_survival_is_derived_from_where_urls_point_with_slb(tmp_path: Path) -> None:
    assert derived(stories.urls_with_slb(), tmp_path).status is Status.PASS


def test_names_never_decide(tmp_path: Path) -> None:
    """URL Idle that points at the failed call control dies with it, whatever the page says of URL Idle."""
    recording = stories.urls_without_slb()
    table = next(event["urls"] for event in recording.events if event.name == "ConfigRead")
    recording.change("ConfigRead", urls={**table, "idle": f"http://{ADDRESSES['ccm-1']}/idle"})
    verdict = derived(recording, tmp_path / "1")
    assert verdict.status is Status.FAIL
    assert "idle answered" in verdict.summary
    assert "points at ccm-1" in verdict.summary
    verdict = urls(recording, tmp_path / "2", derive=True, work=["idle"])
    assert "idle is expected to work, but" in verdict.summary


@pytest.mark.catches("slb-for-pages")
def test_a_vip_with_no_other_healthy_server_dies_with_its_server(tmp_path: Path) -> None:
    recording = stories.urls_with_slb()
    stories.servers(recording, 1.9, "before", ccm_bk="DOWN")
    verdict = urls(recording, tmp_path, derive=True)
    assert verdict.status is Status.FAIL
    assert "nothing but ccm-1" in verdict.summary


def test_what_stands_behind_a_vip_is_not_guessed(tmp_path: Path) -> None:
    recording = stories.urls_with_slb()
    recording.change("UrlAnswered", served_by=None)
    verdict = derived(recording, tmp_path)
    assert verdict.status is Status.INCONCLUSIVE
    assert "was not seen before the fault" in verdict.summary


def test_an_address_outside_the_bed_is_not_guessed(tmp_path: Path) -> None:
    recording = stories.urls_with_slb()
    recording.change("ConfigRead", urls={**URLS, "messages": "http://203.0.113.9/m"})
    verdict = derived(recording, tmp_path)
    assert verdict.status is Status.INCONCLUSIVE
    assert "no host of the bed" in verdict.summary


def service(recording: Recording, *, answers: bool) -> Recording:
    """Every phone asks for a subscribed service while the fault lasts."""
    for phone in PHONES:
        if answers:
            stories.answered(recording, 6.5, phone, "page", stories.PAGE, "web-1")
        else:
            stories.failed(recording, 6.5, phone, "page", stories.PAGE, "HTTP 502")
    return recording


@pytest.mark.catches("service-depends")
@pytest.mark.catches("service-fails")
def test_a_service_that_should_fail_and_answers_fails(tmp_path: Path) -> None:
    gone = {"work": ["idle"], "fail": ["page"]}
    verdict = urls(service(stories.urls_without_slb(), answers=True), tmp_path / "1", **gone)
    assert verdict.status is Status.FAIL
    assert "page answered by web-1, expected to fail" in verdict.summary
    assert urls(service(stories.urls_without_slb(), answers=False), tmp_path / "2", **gone).status is Status.PASS


@pytest.mark.catches("configuration-decides")
def test_a_service_that_should_work_and_fails_fails(tmp_path: Path) -> None:
    verdict = urls(service(stories.urls_with_slb(), answers=False), tmp_path / "1", work=["idle", "page"])
    assert verdict.status is Status.FAIL
    assert "page failed: HTTP 502, expected to work" in verdict.summary
    passing = urls(service(stories.urls_with_slb(), answers=True), tmp_path / "2", work=["idle", "page"], by="web-1")
    assert passing.status is Status.PASS


@pytest.mark.parametrize(
    ("kind", "target", "hosts", "dead"),
    [
        ("kill", "ccm-1", ("ccm-1",), []),
        ("cut", "phones<->slb", ("slb",), [*CM_URLS, "idle"]),
        ("cut", f"{PHONES[0]}<->slb", ("slb",), [*CM_URLS, "idle"]),
        ("cut", f"{PHONES[1]}<->slb", ("slb",), []),
        ("cut", "tcp/2000 at slb", ("slb",), []),
        ("cut", "slb<->ccm-1", ("ccm-1",), []),
        ("cut", "slb<->call-control", ("ccm-1", "ccm-bk"), CM_URLS),
        ("cut", "web-host", ("web-1", "web-2"), ["idle"]),
        ("cut", "phones<->web-host", ("web-1", "web-2"), []),
        ("cut", "phones<->proxy", ("proxy",), ["proxy"]),
        ("cut", "proxy<->outside-web", ("outside-web",), ["proxy"]),
        ("bleach", "slb", ("slb",), []),
    ],
)
def test_whom_a_fault_keeps_from_whom_decides(
    kind: str, target: str, hosts: tuple[str, ...], dead: list[str], tmp_path: Path
) -> None:
    recording = stories.booted()
    stories.servers(recording, 1.9, "before")
    stories.pressed(recording, 2.5)
    recording.fault(kind, target, stories.BEGAN_S, stories.HEALING_S, hosts=hosts)
    run = recording.write(tmp_path)
    [window], before = fault_windows(run), {fetch.name: fetch for fetch in fetches(run) if fetch.phone == PHONES[0]}
    predictions = {name: predict(run, window, PHONES[0], url, before[name]) for name, url in URLS.items()}
    assert {name for name, prediction in predictions.items() if not prediction.works} == set(dead)
    assert None not in {prediction.works for prediction in predictions.values()}


@pytest.mark.catches("slb-for-pages")
def test_who_answers_is_held_against_the_host_named(tmp_path: Path) -> None:
    """The mutant: pages that another host than the one named answers."""
    verdict = urls(stories.urls_with_slb(), tmp_path / "1", work=DEAD, by="ccm-bk")
    assert verdict.status is Status.PASS, verdict.summary
    assert verdict.check == "urls during work services,directory,information,messages,authentication by ccm-bk"
    verdict = urls(stories.urls_with_slb(), tmp_path / "2", work=DEAD, by="ccm-1")
    assert verdict.status is Status.FAIL
    assert "services answered by ccm-bk, expected to work by ccm-1" in verdict.summary
    verdict = urls(stories.urls_without_slb(), tmp_path / "3", work=["idle"], by="web-1", fail=DEAD)
    assert verdict.status is Status.PASS, verdict.summary
    with pytest.raises(UsageError, match="ccm-9"):
        urls(stories.urls_with_slb(), tmp_path / "4", work=DEAD, by="ccm-9")
    with pytest.raises(ValidationError, match="by belongs to work"):
        UrlsParams(fail=("idle",), by="ccm-1")


def config_kept(recording: Recording, path: Path) -> Verdict:
    return judge_expectation(recording.write(path), "config-kept", ConfigKeptParams())


def read_request(recording: Recording, at_s: float, name: str) -> None:
    request = b"\x00\x01" + name.encode() + b"\x00octet\x00"
    recording.wires["phones-1"].udp(at_s, ("172.26.16.1", 40_000), (ADDRESSES["tftp"], 69), request)


def test_phones_that_never_read_again_kept_their_configuration(tmp_path: Path) -> None:
    recording = stories.urls_without_slb()
    read_request(recording, 0.4, f"{PHONES[0]}.cnf.xml")
    verdict = config_kept(recording, tmp_path)
    assert verdict.status is Status.PASS, verdict.summary
    assert "phones-1" in verdict.summary


@pytest.mark.catches("url-settings-kept")
def test_a_second_read_after_the_fault_fails(tmp_path: Path) -> None:
    recording = stories.urls_without_slb()
    again = {"phone": PHONES[0], "file": "XMLDefault.cnf.xml", "urls": URLS}
    recording.event(6.0, "phones-1", "ConfigRead", **again)
    verdict = config_kept(recording, tmp_path)
    assert verdict.status is Status.FAIL
    assert "asked for XMLDefault.cnf.xml again" in verdict.summary


def test_a_read_request_on_the_wire_fails_with_its_frame(tmp_path: Path) -> None:
    recording = stories.urls_without_slb()
    read_request(recording, 6.0, f"{PHONES[0]}.cnf.xml")
    verdict = config_kept(recording, tmp_path)
    assert verdict.status is Status.FAIL
    assert verdict.evidence[0].capture == "phones-1.pcap"
    assert verdict.evidence[0].frame


def test_another_file_over_tftp_is_no_configuration(tmp_path: Path) -> None:
    recording = stories.urls_without_slb()
    read_request(recording, 6.0, "RINGLIST.XML")
    assert config_kept(recording, tmp_path).status is Status.PASS


@pytest.mark.catches("url-settings-kept")
def test_a_url_that_changed_fails(tmp_path: Path) -> None:
    recording = stories.urls_without_slb()
    stories.answered(recording, 6.5, PHONES[0], "services", "http://172.26.1.101/", "ccm-bk")
    verdict = config_kept(recording, tmp_path)
    assert verdict.status is Status.FAIL
    assert "services now is http://172.26.1.101/" in verdict.summary


def test_without_a_capture_where_requests_pass_nothing_is_shown(tmp_path: Path) -> None:
    recording = stories.urls_without_slb()
    for host in [host for host in recording.wires if host.startswith(("phones", "tftp"))]:
        del recording.wires[host]
    verdict = config_kept(recording, tmp_path)
    assert verdict.status is Status.INCONCLUSIVE
    assert "no capture at phones or TFTP server" in verdict.summary


@pytest.mark.parametrize("missing", ["FaultConfirmed", "ConfigRead"])
def test_without_a_fault_or_a_configuration_nothing_is_shown(missing: str, tmp_path: Path) -> None:
    recording = stories.urls_without_slb()
    recording.drop(missing)
    assert config_kept(recording, tmp_path).status is Status.INCONCLUSIVE
