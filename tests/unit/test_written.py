from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from testbed.audit.ladder_svg import document
from testbed.errors import UsageError
from testbed.written import check_target, create, replace


@pytest.mark.parametrize("kind", ["HTML", "SVG"])
@pytest.mark.parametrize("there", [b"\xd4\xc3\xb2\xa1 a capture", b"name: ours\nclasses: {}\n", b"x"])
def test_what_is_of_another_kind_is_not_written_over(kind: str, there: bytes, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(there)
    with pytest.raises(UsageError, match="is there already"):
        check_target(file, kind)
    link = tmp_path / "link.html"
    os.link(file, link)
    with pytest.raises(UsageError, match="is there already"):
        check_target(link, kind)


def test_a_report_may_take_the_place_of_an_older_one(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    check_target(file, "HTML")
    file.write_text("<!DOCTYPE html>\n<html>")
    check_target(file, "HTML")
    file.write_text("")
    check_target(file, "HTML")
    picture = tmp_path / "ladder.svg"
    picture.write_text(document([], keepalives=False))
    check_target(picture, "SVG")
    with pytest.raises(UsageError, match="no HTML file"):
        check_target(picture, "HTML")


def test_a_pipe_a_folder_and_what_is_in_no_folder_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="is a pipe"):
        check_target(tmp_path / "pipe", "HTML")
    with pytest.raises(UsageError, match="is a folder"):
        check_target(tmp_path, "HTML")
    with pytest.raises(UsageError, match="there is no folder"):
        check_target(tmp_path / "none" / "x.html", "HTML")
    check_target(Path("/dev/stdout"), "HTML")


@pytest.mark.parametrize("there", ["<?xml version='1.0'?><project/>", "<?xml version='1.0'?>" + " " * 250 + "<svg/>"])
def test_xml_of_another_kind_is_no_picture(there: str, tmp_path: Path) -> None:
    file = tmp_path / "pom.xml"
    file.write_text(there)
    with pytest.raises(UsageError, match="no SVG file"):
        check_target(file, "SVG")
    file.write_text("<?xml version='1.0'?>\n<!-- drawn -->\n<svg/>")
    check_target(file, "SVG")


def on_full_disk(limit: int, function: Callable[[], None]) -> None:
    """As on a disk with room for so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        function()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("write", [replace, create])
def test_a_file_that_does_not_fit_leaves_everything_as_it_was(
    write: Callable[[Path, str], None], tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    if write is replace:
        file.write_text("<html>old")
    before = [(path, path.read_bytes()) for path in tmp_path.iterdir()]
    with pytest.raises(UsageError, match=r"report\.html: File too large"):
        on_full_disk(10_000, lambda: write(file, "<html>" + "x" * 100_000))
    assert [(path, path.read_bytes()) for path in tmp_path.iterdir()] == before


def test_what_is_replaced_keeps_its_rights_and_what_is_new_has_the_usual_ones(tmp_path: Path) -> None:
    file, link = tmp_path / "report.html", tmp_path / "link.html"
    umask = os.umask(0o027)
    try:
        replace(file, "<html>1")
        assert file.stat().st_mode & 0o777 == 0o640
        file.chmod(0o604)
        link.symlink_to(file.name)
        replace(link, "<html>2")
    finally:
        os.umask(umask)
    assert (file.stat().st_mode & 0o777, file.read_text(), link.is_symlink()) == (0o604, "<html>2", True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.html", "report.html"]


def test_a_device_and_a_file_that_is_open_already_are_written_straight_to(tmp_path: Path) -> None:
    replace(Path("/dev/null"), "<html>")
    with pytest.raises(UsageError, match="No space left"):
        replace(Path("/dev/full"), "<html>")
    assert Path("/dev/full").is_char_device()
    with (tmp_path / "out").open("w+") as stream:
        stream.write("a table\n")
        stream.flush()
        replace(Path(f"/proc/self/fd/{stream.fileno()}"), "<html>")
        stream.seek(0)
        assert stream.read() == "a table\n<html>"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_new_file_takes_no_place_of_another(tmp_path: Path) -> None:
    file = tmp_path / "ours.yaml"
    create(file, "learned")
    with pytest.raises(UsageError, match="is there already"):
        create(file, "learned again")
    assert file.read_text() == "learned"
