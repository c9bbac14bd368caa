"""Runs side by side, with tiny scripts for runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from testbed import claims
from testbed.claims import Mark
from testbed.errors import EXIT_USAGE, CleanupIncomplete
from testbed.side_by_side import Asked, Ended, SideBySide
from testbed.waiting import wait_until

PYTHON = (sys.executable, "-I", "-S", "-c")
PASSED = 'print(\'[{"status": "PASS", "run": "runs/a"}]\')\n'
KILLED = "import os; os.kill(os.getpid(), 9)"
AWAIT = "testbed.side_by_side.leftovers.await_all_undone"
TOLD = """
import os, signal, sys, time
def told(number, _):
    open({file!r}, "a").write("told\\n")
    told.over = True
told.over = False
signal.signal(signal.SIGTERM, told)
signal.signal(signal.SIGINT, told)
open({file!r} + "-new", "w").write(f"{{os.getpid()}} {{os.getpgrp()}}\\n")
os.rename({file!r} + "-new", {file!r})
while not (told.over and os.path.exists({enough!r})):
    time.sleep(0.02)
print("gone", file=sys.stderr)
sys.exit({code})
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESTBED_HOME", str(tmp_path / "home"))


def asked(name: str, script: str) -> Asked:
    return Asked(name=name, bed=f"lab-{name}", command=(*PYTHON, script))


def waits_until_told(file: Path, code: int = 130, enough: Path = Path("/")) -> Asked:
    """Its file gets its process and group, and a line each time it is told; it ends when ``enough`` is there too."""
    return asked(file.name, TOLD.format(file=str(file), code=code, enough=str(enough)))


def waits_for(file: Path, script: str) -> str:
    return f"import os, time\nwhile not os.path.exists({str(file)!r}): time.sleep(0.02)\n{script}"


def begun(file: Path) -> list[str]:
    return wait_until(
        lambda: file.exists() and file.read_text().endswith("\n") and file.read_text().split(),
        awaited="the run",
        timeout_s=60,
    )


class Notes:
    """What was said of the runs, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def begun(self, one: Asked) -> None:
        self.lines.append(f"begun {one.name}")

    def reported(self, place: int, _: Ended) -> None:
        self.lines.append(f"ended {place}")


def side_by_side(runs: list[Asked], at_once: int, folder: Path, notes: Notes | None = None) -> SideBySide:
    notes = notes or Notes()
    return SideBySide(runs, at_once, folder, begun=notes.begun, reported=notes.reported)


@pytest.mark.parametrize(
    ("script", "code", "why"),
    [
        (PASSED, 0, ""),
        (PASSED + "raise SystemExit(1)", 1, ""),
        (PASSED + "raise SystemExit(3)", 3, ""),
        (PASSED + "raise SystemExit(4)", 4, ""),
        (PASSED + "raise SystemExit(6)", 6, ""),
        ("raise SystemExit(0)", 4, "ended with exit status 0"),
        ("raise SystemExit(6)", 6, "ended with exit status 6"),
        ("raise SystemExit(130)", 4, "ended with exit status 130"),
        ("print('[]')", 4, "ended with exit status 0"),
        ("print('[{}]')", 4, "ended with exit status 0"),
        ('print(\'{"status": "PASS"}\')', 4, "ended with exit status 0"),
        (PASSED + "import os, sys; sys.stdout.flush(); os.kill(os.getpid(), 9)", 4, "killed by SIGKILL"),
    ],
)
def test_a_run_that_ends_without_records_is_lost_and_one_with_them_has_its_own_status(
    script: str, code: int, why: str, tmp_path: Path
) -> None:
    [ended] = side_by_side([asked("a", "import sys; print('so', file=sys.stderr)\n" + script)], 2, tmp_path).perform()
    assert ended is not None
    assert (ended.code, ended.why, ended.is_lost, ended.said) == (code, why, bool(why), "so\n")
    assert list(ended.records) == ([] if why else [{"status": "PASS", "run": "runs/a"}])


def test_a_run_that_is_refused_is_not_lost_and_ends_no_other(tmp_path: Path) -> None:
    """Its scenario file went, or was edited, before its turn."""
    refused = "import sys; print('error: no such file', file=sys.stderr); raise SystemExit(2)"
    first, *others = side_by_side([asked("a", refused), asked("b", PASSED), asked("c", PASSED)], 1, tmp_path).perform()
    assert first is not None
    assert (first.code, first.records, first.is_lost) == (EXIT_USAGE, (), False)
    assert (first.said, first.why) == ("error: no such file\n", "ended with exit status 2")
    assert [one and one.code for one in others] == [0, 0]


def test_as_many_run_at_once_as_may_and_what_came_of_them_is_in_the_order_asked(tmp_path: Path) -> None:
    """The first waits for the last, which may begin when the second has ended."""
    records = [json.dumps([{"status": "PASS", "run": name}]) for name in "abc"]
    last = tmp_path / "last"
    runs = [
        asked("a", waits_for(last, f"print({records[0]!r})")),
        asked("b", f"print({records[1]!r})"),
        asked("c", f"open({str(last)!r}, 'w')\nprint({records[2]!r})"),
    ]
    notes = Notes()
    ended = side_by_side(runs, 2, tmp_path, notes).perform()
    assert [one.records[0]["run"] for one in ended if one] == ["a", "b", "c"]
    assert notes.lines[:4] == ["begun a", "begun b", "ended 1", "begun c"]
    assert sorted(notes.lines[4:]) == ["ended 0", "ended 2"]


def test_one_at_a_time_where_no_more_may(tmp_path: Path) -> None:
    notes = Notes()
    side_by_side([asked(name, PASSED) for name in "abc"], 1, tmp_path, notes).perform()
    assert notes.lines == [
        f"{word} {one}" for place, name in enumerate("abc") for word, one in (("begun", name), ("ended", place))
    ]


def test_a_lost_run_ends_the_others_once_each_and_no_more_are_begun(tmp_path: Path) -> None:
    file = tmp_path / "told"
    killed = waits_for(file, "import signal; os.kill(os.getpid(), signal.SIGKILL)")
    runs = [waits_until_told(file), asked("killed", killed), asked("never", PASSED)]
    first, second, third = side_by_side(runs, 2, tmp_path).perform()
    assert first is not None
    assert second is not None
    assert (first.was_told, first.is_lost, first.why, first.said) == (
        True,
        False,
        "ended with exit status 130",
        "gone\n",
    )
    assert (second.was_told, second.is_lost, second.code) == (False, True, 4)
    assert third is None
    assert file.read_text().count("told") == 1


@pytest.mark.parametrize(("script", "waits"), [(KILLED, True), (PASSED, False)])
def test_the_bed_of_a_killed_run_is_gone_before_we_end(
    script: str, waits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[object] = []
    monkeypatch.setattr(AWAIT, lambda _, beds: waited.append(beds))
    side_by_side([asked("a", script)], 2, tmp_path).perform()
    assert waited == ([{"lab-a"}] if waits else [])


def stays(*_: object) -> None:
    raise CleanupIncomplete("bed lab-killed: a network stays", hint="look")


def test_what_stays_of_a_killed_runs_bed_is_said_and_takes_away_nothing_that_others_gave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(AWAIT, stays)
    runs = side_by_side([asked("a", PASSED), asked("killed", KILLED)], 1, tmp_path)
    first, second = runs.perform()
    assert first is not None
    assert second is not None
    assert (first.code, second.code) == (0, 4)
    assert runs.left_behind is not None
    assert runs.left_behind.message == "bed lab-killed: a network stays"
    assert "error: bed lab-killed: a network stays\n  next: look" in capsys.readouterr().err


def test_what_stays_of_a_bed_replaces_no_other_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AWAIT, stays)

    def reported(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SideBySide([asked("a", KILLED)], 1, tmp_path, begun=lambda _: None, reported=reported).perform()


def test_a_killed_run_leaves_the_claims_upon_other_beds_alone(tmp_path: Path) -> None:
    """One waits as long as any bed of this machine takes, or takes down what is not its own."""
    other = Mark(bed="other", id="1", what="bed")
    other.file.parent.mkdir(parents=True)
    said = json.dumps({"owner": 1, "engine": claims.engine()}).encode()
    other.file.write_bytes(said)
    side_by_side([asked("a", KILLED)], 1, tmp_path).perform()
    assert other.file.read_bytes() == said


def test_a_bed_that_broke_ends_no_other_run(tmp_path: Path) -> None:
    broke = 'print(\'[{"status": "ERROR", "summary": "it fell over"}]\')\nraise SystemExit(4)'
    ended = side_by_side([asked("a", broke), asked("b", PASSED), asked("c", PASSED)], 2, tmp_path).perform()
    assert [one and one.code for one in ended] == [4, 0, 0]


@pytest.mark.parametrize("numbers", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGINT, signal.SIGTERM, signal.SIGINT]])
def test_however_often_we_are_interrupted_each_run_is_told_once_and_waited_for(
    numbers: list[signal.Signals], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, enough = [tmp_path / "a", tmp_path / "b"], tmp_path / "enough"
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    kills = "".join(f"os.kill({os.getpid()}, {int(number)}); time.sleep(0.1)\n" for number in numbers)
    script = waits_for(files[0], waits_for(files[1], f"{kills}open({str(enough)!r}, 'w')"))
    runs = [*(waits_until_told(file, enough=enough) for file in files), asked("never", PASSED)]
    interrupter = subprocess.Popen([*PYTHON, script])
    notes = Notes()
    try:
        with pytest.raises(KeyboardInterrupt):
            side_by_side(runs, 2, tmp_path, notes).perform()
    finally:
        assert interrupter.wait(60) == 0
    assert notes.lines == ["begun a", "begun b", "ended 0", "ended 1"]
    for file in files:
        process, group, *told = file.read_text().split()
        assert told == ["told"]
        assert process == group  # a terminal's Ctrl-C is not theirs
        with pytest.raises(ProcessLookupError):
            os.kill(int(process), 0)
    assert ("cleaning up, a moment" in capsys.readouterr().err) == (len(numbers) > 1)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_second_signal_that_cannot_be_answered_in_words_ends_no_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("testbed.side_by_side.show.say", broken)
    file, enough = tmp_path / "told", tmp_path / "enough"
    kills = f"os.kill({os.getpid()}, 15); time.sleep(0.1)\n" * 2
    interrupter = subprocess.Popen([*PYTHON, waits_for(file, f"{kills}open({str(enough)!r}, 'w')")])
    try:
        with pytest.raises(KeyboardInterrupt):
            side_by_side([waits_until_told(file, enough=enough)], 2, tmp_path).perform()
    finally:
        assert interrupter.wait(60) == 0
    process, _, *told = file.read_text().split()
    assert told == ["told"]
    with pytest.raises(ProcessLookupError):
        os.kill(int(process), 0)


def test_what_stays_of_a_bed_after_an_interruption_is_said_by_the_exit_status(tmp_path: Path) -> None:
    file = tmp_path / "told"
    interrupter = subprocess.Popen([*PYTHON, waits_for(file, f"os.kill({os.getpid()}, 15)")])
    try:
        with pytest.raises(CleanupIncomplete):
            side_by_side([waits_until_told(file, code=6), waits_until_told(tmp_path / "b")], 2, tmp_path).perform()
    finally:
        interrupter.wait(60)


def test_nothing_is_printed_before_the_runs_are_told_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with `testbed run --jobs 2 2>&1 | head -1`: whatever is printed from some moment on raises."""
    file = tmp_path / "told"

    def broken(_: object) -> None:
        raise BrokenPipeError

    def second_is_not_said(one: Asked) -> None:
        if one.name == "b":
            begun(file)
            broken(one)

    monkeypatch.setattr("testbed.side_by_side.show.say", broken)
    runs = SideBySide(
        [waits_until_told(file), asked("b", PASSED)], 2, tmp_path, begun=second_is_not_said, reported=lambda *_: None
    )
    with pytest.raises(BrokenPipeError):
        runs.perform()
    process, _, *told = file.read_text().split()
    assert told == ["told"]
    with pytest.raises(ProcessLookupError):
        os.kill(int(process), 0)


def test_beds_of_killed_runs_are_waited_for_though_nothing_can_be_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[object] = []
    file = tmp_path / "told"
    monkeypatch.setattr(AWAIT, lambda _, beds: waited.append(beds))

    def reported(*_: object) -> None:
        raise BrokenPipeError

    runs = [waits_until_told(file), asked("b", waits_for(file, KILLED))]
    with pytest.raises(BrokenPipeError):
        SideBySide(runs, 2, tmp_path, begun=lambda _: None, reported=reported).perform()
    assert waited == [{"lab-told", "lab-b"}]


def test_what_cannot_be_printed_keeps_no_bed_up(tmp_path: Path) -> None:
    file = tmp_path / "told"

    def reported(place: int, _: Ended) -> None:
        raise BrokenPipeError

    runs = [waits_until_told(file), asked("b", waits_for(file, PASSED))]
    with pytest.raises(BrokenPipeError):
        SideBySide(runs, 2, tmp_path, begun=lambda _: None, reported=reported).perform()
    assert file.read_text().count("told") == 1


OURS = """
import sys
from pathlib import Path
from testbed.side_by_side import Asked, SideBySide
run = Asked(name="a", bed="lab", command=tuple(sys.argv[1:]))
SideBySide([run], 2, Path({folder!r}), begun=print, reported=print).perform()
"""


def test_the_runs_are_told_to_end_when_we_are_killed(tmp_path: Path) -> None:
    file = tmp_path / "told"
    command = [sys.executable, "-c", OURS.format(folder=str(tmp_path)), *waits_until_told(file).command]
    ours = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        begun(file)
    finally:
        ours.kill()
        ours.wait()
    wait_until(lambda: "told" in file.read_text(), awaited="the end of the run", timeout_s=20)
