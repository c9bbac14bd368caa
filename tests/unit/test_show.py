from __future__ import annotations

import pytest

from testbed import show


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
