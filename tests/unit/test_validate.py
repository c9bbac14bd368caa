from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from testbed.errors import BedError
from testbed.scenario import builtin_scenarios, shipped_beds
from testbed.validate import validate_all, validate_file


def written(tmp_path: Path, text: str, name: str = "mine.yaml") -> str:
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


def refusal(file: str) -> BedError:
    with pytest.raises(BedError) as caught:
        validate_file(file)
    return caught.value


@pytest.mark.parametrize("name", builtin_scenarios())
def test_every_built_in_scenario_is_good(name: str):
    assert f"scenario {name}, " in validate_file(name)


def test_the_shipped_bed_is_good_whatever_block_the_environment_asks_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BED_PREFIX", "nonsense")
    assert "compose file with 10 hosts: slb, ccm-1, " in validate_file(str(shipped_beds() / "bed.yaml"))


def test_an_overlay_alone_is_good_and_says_what_it_overlays(tmp_path: Path):
    (tmp_path / "h").mkdir()
    file = written(tmp_path, 'services: {slb: {volumes: ["./h:/etc/haproxy:ro"]}}')
    alone = f"{file}: overlay of services slb; its hosts are those of the file it overlays, to be named as well"
    assert validate_file(file) == alone
    good, bad = validate_all(["bed.yaml", file])
    assert (good[1], bad) == (f"{file}: overlay of services slb", [])


def test_an_overlay_of_a_service_that_the_named_bed_lacks_is_refused(tmp_path: Path):
    file = written(tmp_path, "services:\n  web1: {environment: {A: b}}\n")
    _, (error,) = validate_all([file, "bed.yaml"])
    assert f"{file}:2: services.web1: no service 'web1' in the bed" in error.message
    assert "web-1" in error.hint
    own = written(tmp_path, "services: {web-3: {image: mine}}")
    assert validate_all([own, "bed.yaml"])[1] == []


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path):
    long = "x" * 300
    assert "no scenario 'xxx" in refusal(long).message
    assert "cannot be read: File name too long" in refusal(f"{long}.yaml").message
    file = written(tmp_path, yaml.safe_dump({"services": {"slb": {"volumes": [f"./{long}:/x"]}}}))
    assert "services.slb.volumes.0: there is no ./xxx" in refusal(file).message


@pytest.mark.parametrize("volume", ["./missing:/etc/haproxy:ro", {"type": "bind", "source": "missing", "target": "/x"}])
def test_a_mount_that_is_not_there_is_refused(tmp_path: Path, volume: object):
    file = written(tmp_path, yaml.safe_dump({"services": {"slb": {"volumes": ["named:/x", "/absent:/y", volume]}}}))
    error = refusal(file)
    assert "services.slb.volumes.2: there is no" in error.message
    assert "missing" in error.message


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("${BED_PREFIX}.9.1", "172.26.9.1"),
        ("$BED_PREFIX.9.1", "172.26.9.1"),
        ("${BED_PREFIX:-10.1}.9.1", "172.26.9.1"),
        ("${UNSET:-10.1}.9.1", "10.1.9.1"),
        ("${UNSET-10.1}.9.1", "10.1.9.1"),
        ("${BLANK:-10.1}.9.1", "10.1.9.1"),
        ("${BLANK-x}10.1.9.1", "10.1.9.1"),
        ("${BED_PREFIX:+10.2}.9.1", "10.2.9.1"),
        ("${DOTTED}.9.1", "10.3.9.1"),
        ("10.1.9.1${UNSET}", "10.1.9.1"),
        ("$${BED_PREFIX}", "${BED_PREFIX}"),
    ],
)
def test_variables_are_filled_in_as_compose_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, address: str
):
    monkeypatch.setenv("BLANK", "")
    written(tmp_path, "# mine\nDOTTED='10.3'\n", ".env")
    # The value comes back in the error.
    file = written(tmp_path, f"services: {{a: {{labels: {{testbed.host: '=={text}=='}}}}}}")
    assert f"testbed.host is '=={address}=='" in refusal(file).message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("services:\n  a:\n    image: $1\n", ":3: services.a.image: '$1' has a $ that begins no variable"),
        ("services:\n  a: {image: '${X:?say which}'}\n", ":2: services.a.image: the variable X must be set: say which"),
        ("services:\n  a:\n    labels: {testbed.rol: slb}\n", ":3: services.a.labels: unknown label 'testbed.rol'"),
        (
            "services:\n  a:\n    labels: {testbed.role: slb}\n    network_mode: host\n",
            ":4: services.a.network_mode: a labelled service cannot have network_mode",
        ),
        ("services: [a]\n", ":1: services: must be a mapping"),
        ("services:\n  a: slb\n", ":2: services.a: must be a mapping"),
        ("services:\n  a: {labels: slb}\n", ":2: services.a.labels: must be a mapping or a list"),
        ("services:\n  a: {networks: [{x: y}]}\n", ":2: services.a.networks: must be a list of words"),
        ("services: {}\nnetworks:\n  n: {external: true}\n", ":3: networks.n.external: a network of a bed cannot be"),
    ],
)
def test_a_bad_compose_file_is_refused_with_line_and_place_and_hint(tmp_path: Path, text: str, said: str):
    error = refusal(written(tmp_path, text))
    assert "mine.yaml" + said in error.message
    assert error.hint


SCENARIO = "scenario: mine\nbed: [bed.yaml]\nphones: 2\nprofile: quick\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("capture: [ccm1]", "capture.0: no host 'ccm1'"),
        ("steps: [{inject: {freeze: ccm1}}]", "steps.0.inject.freeze: no host 'ccm1'"),
        ("expect: [{registered: {at: ccm-9}}]", "expect.0.registered.at: no host 'ccm-9'"),
        ("steps: [{press: services, phones: [SEP020000000003]}]", "no phone 'SEP020000000003'"),
    ],
)
def test_a_scenario_with_a_host_or_phone_its_bed_lacks_is_refused(tmp_path: Path, text: str, said: str):
    error = refusal(written(tmp_path, SCENARIO + text, "mine.scenario.yaml"))
    assert said in error.message
    assert "mine.scenario.yaml:5" in error.message
    assert "ccm-1" in error.hint or "2 phones" in error.hint


def test_an_overlay_takes_hosts_out_of_a_scenarios_bed_and_adds_some(tmp_path: Path):
    written(tmp_path, "services: {web-2: {profiles: [none]}, web-9: {labels: [testbed.host=yes]}}", "over.yaml")
    scenario = "scenario: mine\nbed: [bed.yaml, over.yaml]\ncapture: "
    assert "0 steps, 0 expectations" in validate_file(written(tmp_path, scenario + "[web-9]", "a.yaml"))
    assert "no host 'web-2'" in refusal(written(tmp_path, scenario + "[web-2]", "b.yaml")).message


def test_what_only_compose_can_resolve_is_said_and_not_guessed(tmp_path: Path):
    written(tmp_path, "services: {a: {extends: {file: other.yaml, service: a}}}", "bed.yaml")
    file = written(tmp_path, SCENARIO + "capture: [a]\nexpect: [{captures: {}}]", "mine.scenario.yaml")
    assert validate_file(file).endswith(
        "0 steps, 1 expectation; its hosts are not checked: only compose resolves extends"
    )


def test_all_files_are_checked_though_the_first_is_bad(tmp_path: Path):
    bad = written(tmp_path, "services: [a]", "bad.yaml")
    good, errors = validate_all([bad, "rehome-kill", "rehome-kil", "rehome-cut"])
    assert [line.partition(":")[0] for line in good] == ["rehome-kill", "rehome-cut"]
    assert [error.message.partition(" ")[0] for error in errors] == [f"{bad}:1:", "no"]
    assert "rehome-kill" in errors[1].hint
