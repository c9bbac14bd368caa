"""A standing bed as its users meet it: up, looked at, refused, removed; and what every container of it may and may not do."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from driving import Testbed, describe, ours

NAME = "e2e-standing"
PHONES = 4


@pytest.fixture(scope="module")
def standing(testbed: Testbed) -> Iterator[dict]:
    outcome = testbed("up", "--name", NAME, "--phones", str(PHONES), "--output", "json")
    assert outcome.status == 0, describe(outcome)
    yield outcome.json[0]
    down = testbed("down", "--name", NAME)
    assert down.status == 0, describe(down)
    assert not [line for line in ours() if NAME in line]


def test_up_shows_every_host_running_and_every_phone_registered_at_its_primary(standing: dict):
    assert {host["state"] for host in standing["hosts"]} == {"running"}
    assert [phone["registered_at"] for phone in standing["phones"]] == ["ccm-1"] * PHONES
    assert len({phone["address"] for phone in standing["phones"]}) == PHONES


def test_status_ls_and_phone_ls_agree_with_up(standing: dict, testbed: Testbed):
    status = testbed("status", "--name", NAME, "--output", "json").json[0]
    assert status["hosts"] == standing["hosts"]
    assert {(row["server"], row["status"]) for row in status["servers"]} == {
        (server, "UP") for server in ("ccm-1", "ccm-bk", "web-1", "web-2")
    }
    assert NAME in [bed["bed"] for bed in testbed("ls", "--output", "json").json]
    phones = testbed("phone", "ls", "--name", NAME, "--output", "json").json
    assert {phone["phone"] for phone in phones} == {phone["phone"] for phone in standing["phones"]}


def test_phone_show_has_the_url_table_of_the_downloaded_file(standing: dict, testbed: Testbed):
    device = standing["phones"][0]["phone"]
    [shown] = testbed("phone", "show", device, "--name", NAME, "--output", "json").json
    assert shown["urls"]["services"].endswith("/CCMCIP/getservicesmenu.asp")
    assert shown["urls"]["proxy"].endswith(":8080")


def test_bringing_up_what_is_up_already_shows_it(standing: dict, testbed: Testbed):
    outcome = testbed("up", "--name", NAME, "--phones", str(PHONES), "--output", "json")
    assert outcome.status == 0, describe(outcome)
    assert outcome.json[0]["hosts"] == standing["hosts"]
    assert "is up already" in outcome.err


def test_another_bed_of_the_same_name_is_refused_and_the_first_lives_on(standing: dict, testbed: Testbed):
    outcome = testbed("up", "--name", NAME)
    assert outcome.status == 2
    assert f"testbed down --name {NAME}" in outcome.err
    assert testbed("status", "--name", NAME, "--output", "json").status == 0


def test_a_second_bed_of_another_name_gets_a_block_of_its_own(standing: dict, testbed: Testbed):
    outcome = testbed("up", "--name", "e2e-second", "--phones", "2", "--output", "json")
    try:
        assert outcome.status == 0, describe(outcome)
        blocks = {bed["bed"]: bed["block"] for bed in testbed("ls", "--output", "json").json}
        assert blocks["e2e-second"] != blocks[NAME]
    finally:
        testbed("down", "--name", "e2e-second")
    assert testbed("status", "--name", NAME, "--output", "json").json[0]["phones"]


def inspect_bed() -> list[dict]:
    ids = subprocess.run(
        ["docker", "ps", "-q", "--filter", f"label=testbed.bed={NAME}"], capture_output=True, text=True, check=True
    )
    shown = subprocess.run(["docker", "inspect", *ids.stdout.split()], capture_output=True, text=True, check=True)
    return json.loads(shown.stdout)


def test_no_container_has_more_rights_than_it_needs(standing: dict):
    for container in inspect_bed():
        name, host = container["Name"], container["HostConfig"]
        is_nic = "testbed.nic" in container["Config"]["Labels"]
        assert [cap.upper() for cap in host["CapDrop"]] == ["ALL"], name
        allowed = {"NET_ADMIN", "NET_RAW"} if is_nic else set()
        assert {cap.removeprefix("CAP_") for cap in host["CapAdd"] or ()} == allowed, name
        assert host["ReadonlyRootfs"], name
        assert not host["Privileged"], name
        assert any(option.startswith("no-new-privileges") for option in host["SecurityOpt"]), name
        assert host["Memory"], name
        assert not host["PortBindings"], name
        assert not any("docker.sock" in mount["Source"] for mount in container["Mounts"]), name
        assert is_nic or container["Config"]["User"] not in ("", "0", "root"), name


def test_networks_are_internal_and_no_host_has_a_default_route(standing: dict):
    networks = subprocess.run(
        ["docker", "network", "ls", "-q", "--filter", f"label=com.docker.compose.project=testbed-{NAME}"],
        capture_output=True,
        text=True,
        check=True,
    )
    shown = json.loads(
        subprocess.run(
            ["docker", "network", "inspect", *networks.stdout.split()], capture_output=True, text=True, check=True
        ).stdout
    )
    assert len(shown) == 2
    assert all(network["Internal"] for network in shown)
    for container in inspect_bed():
        if "testbed.nic" in container["Config"]["Labels"]:
            routes = subprocess.run(
                ["docker", "exec", container["Id"], "ip", "route", "show", "default"],
                capture_output=True,
                text=True,
                check=True,
            )
            assert routes.stdout.strip() == "", container["Name"]


@pytest.mark.parametrize(
    ("argv", "status", "said"),
    [
        (["status", "--name", "no-such-bed"], 2, "no bed named 'no-such-bed'"),
        (["up", "--name", "Bad Name"], 2, "no name for a bed"),
        (["up", "-f", "missing.yaml", "--name", "e2e-bad"], 2, "no compose file 'missing.yaml'"),
        (["up", "--phones", "9999", "--name", "e2e-bad"], 2, "do not fit"),
        (["run", "no-such-scenario"], 2, "rehome-kill"),
        (["run"], 2, "no scenario named"),
        (["judge", "."], 2, "is no run folder"),
        (["phone", "show", "SEP0", "--name", NAME], 2, "no phone 'SEP0'"),
    ],
)
def test_bad_usage_is_one_message_with_what_to_do_next(
    standing: dict, argv: list[str], status: int, said: str, testbed: Testbed
):
    before = ours()
    outcome = testbed(*argv)
    assert outcome.status == status, describe(outcome)
    assert said in outcome.err
    assert "next:" in outcome.err
    assert "Traceback" not in outcome.err
    assert ours() == before


def test_a_users_broken_file_is_refused_with_file_and_line_and_nothing_is_started(testbed: Testbed, tmp_path: Path):
    before = ours()
    file = tmp_path / "mine.yaml"
    file.write_text("services:\n  slb:\n    image: a\n    image: b\n")
    outcome = testbed("up", "-f", "bed.yaml", "-f", file, "--name", "e2e-bad")
    assert outcome.status == 2, describe(outcome)
    assert f"{file}:4" in outcome.err
    assert ours() == before


def test_an_image_that_is_missing_is_named_and_nothing_is_left_behind(testbed: Testbed, tmp_path: Path):
    before = ours()
    file = tmp_path / "mine.yaml"
    file.write_text("services:\n  web-1:\n    image: no-such-image.invalid/web:1\n")
    outcome = testbed("up", "-f", "bed.yaml", "-f", file, "--name", "e2e-bad")
    assert outcome.status == 4, describe(outcome)
    assert "no-such-image" in outcome.err
    assert ours() == before


def test_a_block_that_is_taken_is_refused_by_name(standing: dict, testbed: Testbed):
    taken = next(bed["block"] for bed in testbed("ls", "--output", "json").json if bed["bed"] == NAME)
    outcome = testbed("up", "--name", "e2e-bad", env={"BED_PREFIX": taken.removesuffix(".0.0/16")})
    assert outcome.status == 4, describe(outcome)
    assert taken in outcome.err


def test_no_engine_is_an_error_of_the_environment_with_what_to_type(testbed: Testbed):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    outcome = testbed("ls", env={"DOCKER_HOST": f"tcp://127.0.0.1:{port}"})
    assert outcome.status == 4, describe(outcome)
    assert "testbed doctor --fix" in outcome.err
