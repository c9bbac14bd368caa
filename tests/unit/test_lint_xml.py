from __future__ import annotations

from pathlib import Path

import pytest

from testbed import cli


def linted(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(["lint-xml", *words])
    out, err = capsys.readouterr()
    return ended.value.code, out, err


def test_what_can_be_read_is_told_before_what_cannot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    half, missing = tmp_path / "half.xml", tmp_path / "none.xml"
    half.write_text("<CiscoIPPhoneText>")
    for words in ([str(half), str(missing)], [str(missing), str(half)]):
        status, out, err = linted(capsys, *words)
        assert (status, out.count(f"{half}:1:")) == (2, 1)
        assert f"{missing}: No such file" in err
        assert "nothing wrong" not in err


def test_a_page_that_is_missing_leaves_nothing_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = linted(capsys, str(tmp_path / "none.xml"), "--output", "json")
    assert (status, out, "nothing wrong" in err) == (2, "[]\n", False)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://", "http:// names no host"),
        ("http://:80/x", "http://:80/x names no host"),
        ("http://[::1", "http://[::1 is no URL: Invalid IPv6 URL"),
        ("http://127.0.0.1:99999/", "http://127.0.0.1:99999/: a port is a number up to 65535"),
        ("https://127.0.0.1:x/", "https://127.0.0.1:x/: a port is a number up to 65535"),
        ("ftp://h/x", "ftp://h/x: No such file or directory"),
    ],
)
def test_what_is_no_url_is_said_to_be_none(url: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = linted(capsys, url)
    assert (status, out) == (2, "")
    assert f"error: {said}\n  next: " in err
