from __future__ import annotations

from pathlib import Path

import pytest

from testbed.errors import UsageError
from testbed.new_scenario import write_new
from testbed.validate import validate_file


@pytest.mark.parametrize("like", [None, "standby-kill", "marking-http-remarked"])
def test_a_new_scenario_is_good_as_it_stands(like: str | None, tmp_path: Path) -> None:
    file = write_new("mine", like, tmp_path)
    assert file == tmp_path / "mine.scenario.yaml"
    assert f"{file}: scenario mine, " in validate_file(str(file))


def test_nothing_is_written_over(tmp_path: Path) -> None:
    file = write_new("mine", None, tmp_path)
    file.write_text("precious")
    with pytest.raises(UsageError, match="is there already"):
        write_new("mine.scenario.yaml", None, tmp_path)
    assert file.read_text() == "precious"


@pytest.mark.parametrize("name", ["", "Mine", "../mine", "a b", "-x", "x" * 61])
def test_a_name_that_is_none_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no name"):
        write_new(name, None, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_built_in_cannot_be_copied(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no built-in scenario 'rehome-kil'"):
        write_new("mine", "rehome-kil", tmp_path)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write"):
        write_new("mine", None, tmp_path / "missing")
