from __future__ import annotations

import pytest

from testbed import show
from testbed.errors import BedError


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, ""),
        ("ccm-1", "ccm-1"),
        (["172.26.1.1", "172.26.1.2"], "172.26.1.1, 172.26.1.2"),
        ({"idle": "http://172.26.1.2/idle", "proxy": None}, "idle http://172.26.1.2/idle"),
        ({"at": "ccm-1", "hosts": ["a", "b"]}, "at ccm-1, hosts a, b"),
        ([], ""),
    ],
)
def test_a_cell_is_in_words(value: object, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    show.rows([{"what": value}], "table")
    assert capsys.readouterr().out.splitlines()[1].rstrip() == words


def printed(letters: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """By every way that leads to a terminal."""
    word = f"a{letters}b"
    show.note(word)
    show.say(word)
    show.warning(word)
    show.problem(BedError(word, hint=word), word)
    show.progress()(word)
    show.rows([{"what": [word]}], "table", title=word)
    out, err = capsys.readouterr()
    return [out, err]


@pytest.mark.parametrize("letter", ["\x1b", "\r", "\b", "\0", "\x7f", "\x9b", "\u202e", "\udce9"])
def test_no_name_gives_a_terminal_commands(letter: str, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = printed(letter, capsys)
    assert (out + err).count("a\ufffdb") == 9
    assert letter not in out + err


@pytest.mark.parametrize("text", ["\n", "\t", " ", "\u00a0", "─▶", "é", "日本", "\U0001f4de"])
def test_text_stays_as_it_is(text: str) -> None:
    assert show.visible(f"a{text}b") == f"a{text}b"
