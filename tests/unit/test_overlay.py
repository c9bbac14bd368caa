from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from testbed.engine import compose
from testbed.errors import ScenarioError
from testbed.overlay import merged_services, standalone, with_absolute_paths, without_merge_keys


def test_an_overlay_elsewhere_names_files_beside_itself(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, overlay = tmp_path / "a/bed.yaml", tmp_path / "b/mine.yaml"
    first.write_text("services: {}")
    overlay.write_text(yaml.safe_dump({"services": {"slb": {"volumes": ["./haproxy:/etc/haproxy:ro"]}}}))
    kept, copied = standalone([first, overlay], tmp_path / "out")
    assert kept == first
    assert yaml.safe_load(copied.read_text()) == {
        "services": {"slb": {"volumes": [f"{tmp_path}/b/haproxy:/etc/haproxy:ro"]}}
    }


def test_files_side_by_side_and_files_with_composes_own_tags_stay_as_they_are(tmp_path: Path):
    (tmp_path / "b").mkdir()
    first, beside, tagged = tmp_path / "bed.yaml", tmp_path / "no-slb.yaml", tmp_path / "b/tagged.yaml"
    for file in first, beside:
        file.write_text("services: {}")
    tagged.write_text("services: {slb: !reset null}")
    assert standalone([first, beside, tagged], tmp_path / "out") == (first, beside, tagged)


def test_every_kind_of_relative_path_is_made_absolute_and_nothing_else():
    folder = Path("/users/files")
    service = {
        "volumes": [
            "./x:/x",
            "../y:/y:ro",
            "named:/z",
            "/abs:/abs",
            {"type": "bind", "source": "w", "target": "/w"},
            "${DIR}/v:/v",
        ],
        "build": {"context": "./ctx"},
        "env_file": "env",
    }
    changed = with_absolute_paths({"services": {"a": service}}, folder)["services"]["a"]
    assert changed["volumes"] == [
        "/users/files/x:/x",
        "/users/y:/y:ro",
        "named:/z",
        "/abs:/abs",
        {"type": "bind", "source": "/users/files/w", "target": "/w"},
        "${DIR}/v:/v",
    ]
    assert changed["build"] == {"context": "/users/files/ctx"}
    assert changed["env_file"] == "/users/files/env"


def test_labels_and_networks_of_a_service_are_merged_and_of_anything_else_the_later_counts():
    bed = {"services": {"a": {"image": "x", "labels": ["testbed.role=slb"], "networks": {"n": {"ipv4_address": "1"}}}}}
    mine = {
        "services": {
            "a": {"image": "y", "labels": {"testbed.rank": 1}, "networks": ["n", "m"], "profiles": ["p"]},
            "b": None,
        }
    }
    assert merged_services([bed, mine]) == {
        "a": {
            "image": "y",
            "labels": {"testbed.role": "slb", "testbed.rank": "1"},
            "networks": {"n": {"ipv4_address": "1"}, "m": {}},
            "profiles": ["p"],
        },
        "b": {"labels": {}},
    }


def test_merge_keys_give_what_the_mapping_itself_does_not_say():
    value = {"<<": [{"a": 1, "b": 1}, {"b": 2, "c": 2}], "a": 0, "deep": {"<<": {"x": 1}}}
    assert without_merge_keys(value) == {"a": 0, "b": 1, "c": 2, "deep": {"x": 1}}


def test_composes_refusal_names_the_users_file_and_not_our_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    copy, original = tmp_path / "out/1-mine.yaml", Path("/users/mine.yaml")
    said = f"The Compose file '{copy}' is invalid because:\nUnsupported config option for services.slb: 'imaage'"
    done = subprocess.CompletedProcess[str](args=[], returncode=1, stdout="", stderr=said)
    monkeypatch.setattr(compose, "_compose", lambda: ("compose",))
    monkeypatch.setattr(compose, "_run", lambda *_: done)
    with pytest.raises(ScenarioError) as caught:
        compose.resolve([Path("/bed.yaml"), copy], originals=[Path("/bed.yaml"), original], project="t", env={})
    assert str(tmp_path) not in caught.value.message
    assert caught.value.message.startswith("/bed.yaml + /users/mine.yaml: compose refuses it: ")
    assert "The Compose file '/users/mine.yaml' is invalid" in caught.value.message
