"""What compose and engines print where an image cannot be had, and what is made of it. The texts are theirs, names apart."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from testbed.engine import compose
from testbed.engine.missing_image import missing_image
from testbed.errors import EXIT_ENVIRONMENT, EngineError

IMAGES = {
    "web-1": "example/web:2",
    "web-2": "example/web:2",
    "slb": "testbed-slb:0123456789ab",
    "db": "postgres",
    "far": "registry.example:5000/team/far:1",
}
DENIED = "repository does not exist or may require 'docker login': denied: requested access to the resource is denied"
V1_DENIED = f"""Creating network "bed_voice" with driver "bridge"
Pulling web-1 (example/web:2)...
pull access denied for example/web, {DENIED}
"""
V1_UNKNOWN = """Pulling db (postgres:)...
latest: Pulling from library/postgres
Status: Downloaded newer image for postgres:latest
Pulling web-1 (example/web:2)...
manifest for example/web:2 not found: manifest unknown: manifest unknown
"""
V1_GONE = "Creating bed_slb_1 ... error\n\nERROR: for slb  No such image: testbed-slb:0123456789ab\n"
V1_NO_REGISTRY = 'Pulling db (postgres:)...\nGet "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host\n'
V2_DENIED = f""" db Pulling
 web-1 Pulling
 db Error
 web-1 Error
Error response from daemon: pull access denied for example/web, {DENIED}
"""
V2_UNKNOWN = """[+] Running 1/1
 ✘ db Error manifest for postgres:latest not found: manifest unknown: manifest unknown     2.7s
Error response from daemon: manifest for postgres:latest not found: manifest unknown: manifest unknown
"""
V2_RESOLVE = """ far Pulling
 far Error
Error response from daemon: failed to resolve reference "registry.example:5000/team/far:1": failed to do request: Head
"https://registry.example:5000/v2/team/far/manifests/1": dial tcp: lookup registry.example: no such host
"""
V2_DEFAULT_REGISTRY = (
    'Error response from daemon: failed to resolve reference "docker.io/library/postgres:latest": not found\n'
)
V2_NO_REGISTRY = """ db Pulling
 db Error
Error response from daemon: Get "https://registry-1.docker.io/v2/": net/http: request canceled while waiting for connection
"""
V2_UNNAMED = " web-2 Error\n db Error\nError response from daemon: manifest unknown\n"
V2_IMAGE = f" Image example/web:2 Error pull access denied for example/web, {DENIED}\n"
V2_GONE = "Error response from daemon: No such image: testbed-slb:0123456789ab\n"


@pytest.mark.parametrize(
    ("said", "services", "image"),
    [
        (V1_DENIED, "web-1, web-2", "example/web:2"),
        (V1_UNKNOWN, "web-1, web-2", "example/web:2"),
        (V1_GONE, "slb", "testbed-slb:0123456789ab"),
        (V1_NO_REGISTRY, "db", "postgres"),
        (V2_DENIED, "web-1, web-2", "example/web:2"),
        (V2_UNKNOWN, "db", "postgres"),
        (V2_RESOLVE, "far", "registry.example:5000/team/far:1"),
        (V2_DEFAULT_REGISTRY, "db", "postgres"),
        (V2_NO_REGISTRY, "db", "postgres"),
        (V2_UNNAMED, "web-2, db", "example/web:2 or postgres"),
        (V2_IMAGE, "web-1, web-2", "example/web:2"),
        (V2_GONE, "slb", "testbed-slb:0123456789ab"),
    ],
)
def test_the_image_and_who_wants_it_are_found_in_what_compose_prints(said: str, services: str, image: str) -> None:
    found = missing_image(said, IMAGES)
    assert found is not None
    assert (", ".join(found.services), " or ".join(found.images)) == (services, image)
    assert services in found.message
    assert image in found.message


@pytest.mark.parametrize(
    "said",
    [
        "",
        "Error response from daemon: driver failed programming external connectivity on endpoint web-1",
        "Error response from daemon: Pool overlaps with other one on this address space",
        " web-1 Error\nError response from daemon: no space left on device",
        # What a Dockerfile is built from is no image of a service.
        f"failed to solve: debian:nosuch: pull access denied for example/base, {DENIED}",
        "Error response from daemon: manifest for example/web:3 not found: manifest unknown: manifest unknown",
    ],
)
def test_another_failure_is_no_missing_image(said: str) -> None:
    assert missing_image(said, IMAGES) is None


def test_ours_are_built_by_doctor_and_of_a_users_it_is_said_how() -> None:
    ours, theirs = missing_image(V2_GONE, IMAGES), missing_image(V2_DENIED, IMAGES)
    assert ours is not None
    assert theirs is not None
    assert "testbed doctor --fix" in ours.hint
    assert "docker build -t example/web:2" in theirs.hint
    assert "docker pull example/web:2" in theirs.hint


@pytest.mark.parametrize("image", ["testbed-slb:mine", "testbed-slb:0123456789abc", "testbed-web:0123456789ab"])
def test_a_users_own_tag_of_one_of_our_names_is_the_users_to_build(image: str) -> None:
    found = missing_image(f"Error response from daemon: No such image: {image}", {"slb": image})
    assert found is not None
    assert f"docker build -t {image} FOLDER" in found.hint
    assert "doctor" not in found.hint


@pytest.mark.parametrize("image", ["docker.io/library/testbed-slb:0123456789ab", "testbed-slb", "testbed-slb:latest"])
def test_whatever_tag_we_give_our_images_they_are_ours(image: str) -> None:
    found = missing_image(f"Error response from daemon: No such image: {image}", {"slb": image})
    assert found is not None
    assert "testbed doctor --fix" in found.hint


@pytest.mark.parametrize(
    ("stderr", "message"),
    [
        (V2_DENIED, "services web-1, web-2: the image example/web:2 is not on this machine and could not be pulled"),
        ("Error response from daemon: no space left on device", "the bed could not be brought up"),
    ],
)
def test_up_says_it_with_composes_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stderr: str, message: str
) -> None:
    program = tmp_path / "compose"
    program.write_text(f'#!/bin/sh\ncat >&2 <<"END"\n{stderr}\nEND\nexit 1\n')
    program.chmod(0o755)
    monkeypatch.setattr(compose, "compose_command", lambda: [str(program)])
    compose._compose.cache_clear()
    file = tmp_path / "compose.yaml"
    file.write_text(yaml.safe_dump({"services": {name: {"image": image} for name, image in IMAGES.items()}}))
    try:
        with pytest.raises(EngineError) as refused:
            compose.up(file, project="x", env={})
    finally:
        compose._compose.cache_clear()
    assert refused.value.exit_code == EXIT_ENVIRONMENT
    assert str(refused.value).startswith(message)
    assert stderr.strip().splitlines()[-1] in refused.value.output
