from __future__ import annotations

import os
from pathlib import Path

import pytest

from testbed.errors import ScenarioError
from testbed.rendering import read_only_source, rendered_mounts

VALUES = {"BED_PREFIX": "10.200"}


def test_placeholders_are_filled_in_and_everything_else_is_left_alone(tmp_path: Path):
    source = tmp_path / "slb"
    source.mkdir()
    (source / "haproxy.cfg").write_text('bind ${BED_PREFIX}.1.1:80\nlog "${HOME}" $BED_PREFIX\n')
    (source / "blob").write_bytes(b"\xff\x00")
    volumes = rendered_mounts({"volumes": [f"{source}:/etc/haproxy:ro"]}, tmp_path / "out", VALUES, ())
    assert volumes == [f"{tmp_path}/out/0:/etc/haproxy:ro"]
    assert (tmp_path / "out/0/haproxy.cfg").read_text() == 'bind 10.200.1.1:80\nlog "${HOME}" $BED_PREFIX\n'
    assert (tmp_path / "out/0/blob").read_bytes() == b"\xff\x00"


def test_each_phone_gets_its_sep_file_unless_the_user_put_one_there(tmp_path: Path):
    source = tmp_path / "tftp"
    source.mkdir()
    (source / "SEP.cnf.xml.template").write_text("<d>${DEVICE_NAME} ${BED_PREFIX}</d>")
    (source / "SEP02.cnf.xml").write_text("mine")
    volume = {"type": "bind", "source": str(source), "target": "/srv/tftp", "read_only": True}
    [rendered] = rendered_mounts({"volumes": [volume]}, tmp_path / "out", VALUES, ("SEP01", "SEP02"))
    folder = Path(rendered["source"])
    assert rendered["target"] == "/srv/tftp"
    assert (folder / "SEP01.cnf.xml").read_text() == "<d>SEP01 10.200</d>"
    assert (folder / "SEP02.cnf.xml").read_text() == "mine"
    assert not (folder / "SEP.cnf.xml.template").exists()


def test_a_mount_without_placeholders_and_a_writable_one_stay_where_they_are(tmp_path: Path):
    (tmp_path / "plain").write_text("text")
    (tmp_path / "rw").write_text("${BED_PREFIX}")
    volumes = [f"{tmp_path}/plain:/a:ro", f"{tmp_path}/rw:/b", "named:/c:ro"]
    assert rendered_mounts({"volumes": volumes}, tmp_path / "out", VALUES, ()) == volumes


def test_a_mount_that_does_not_exist_is_refused_by_name(tmp_path: Path):
    with pytest.raises(ScenarioError, match="does not exist"):
        rendered_mounts({"volumes": [f"{tmp_path}/gone:/a:ro"]}, tmp_path / "out", VALUES, ())


@pytest.mark.parametrize(
    ("volume", "source"),
    [
        ("/a:/b:ro", "/a"),
        ("/a:/b:ro,z", "/a"),
        ("/a:/b", ""),
        ("/a:/b:rw", ""),
        ("v:/b:ro", ""),
        ({"type": "volume", "source": "v", "read_only": True}, ""),
    ],
)
def test_only_read_only_bind_mounts_are_rendered(volume: object, source: str):
    assert read_only_source(volume) == source


def test_what_is_rendered_is_readable_for_a_workload_whatever_our_umask_and_a_script_stays_one(tmp_path: Path):
    source = tmp_path / "mine"
    (source / "sub").mkdir(parents=True)
    (source / "a.cfg").write_bytes(b"${BED_PREFIX} \xff")
    (source / "sub" / "run").write_text("#!/bin/sh")
    (source / "sub" / "run").chmod(0o700)
    before = os.umask(0o077)
    try:
        rendered_mounts({"volumes": [f"{source}:/x:ro"]}, tmp_path / "out", VALUES, ())
    finally:
        os.umask(before)
    folder = tmp_path / "out/0"
    assert (folder / "a.cfg").read_bytes() == b"10.200 \xff"
    modes = [
        oct(path.stat().st_mode & 0o777) for path in (folder, folder / "sub", folder / "a.cfg", folder / "sub/run")
    ]
    assert modes[:2] == ["0o755", "0o755"]
    assert int(modes[2], 8) & 0o444 == 0o444
    assert modes[3] == "0o744"
