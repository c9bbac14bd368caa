from __future__ import annotations

import os
from pathlib import Path

import pytest

from testbed.audit.ladder_svg import document
from testbed.errors import UsageError
from testbed.written import check_target


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


def test_a_pipe_is_refused_and_a_folder_left_to_the_writing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="is a pipe"):
        check_target(tmp_path / "pipe", "HTML")
    check_target(tmp_path, "HTML")
    check_target(Path("/dev/stdout"), "HTML")
