"""A report of a thousand phones, and what a browser and axe-core say of reports. Both of these are skipped where they are not there:
TESTBED_CHROMIUM names a browser, TESTBED_AXE the file axe.min.js (`npm install axe-core`)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from call_stories import Talk, call
from chromium import Page, browser_path, visit
from many_phones import many
from recordings import PHONES
from stories import rehome, urls_without_slb

from testbed.report.keep import write_report
from testbed.report.page import page
from testbed.report.reading import read
from testbed.verdict import Evidence, Status, Verdict

MOST_BYTES = 5_000_000
ROOT = Path(__file__).parents[3]


def axe_path() -> Path | None:
    """TESTBED_AXE, or where npm puts it in a checkout."""
    places = [os.environ.get("TESTBED_AXE"), ROOT / "node_modules/axe-core/axe.min.js"]
    return next((Path(place) for place in places if place and Path(place).is_file()), None)


needs_browser = pytest.mark.skipif(not browser_path(), reason="no Chromium: set TESTBED_CHROMIUM, or install chromium")
needs_axe = pytest.mark.skipif(not axe_path(), reason="no axe-core: set TESTBED_AXE to axe.min.js of the npm package")


@pytest.fixture(scope="module")
def many_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many") / "run"
    many().write(folder)
    return write_report(folder, None)[0]


def test_a_report_of_a_thousand_phones_is_complete_and_small(many_report: Path):
    text = many_report.read_text(encoding="utf-8")
    assert len(text.encode()) < MOST_BYTES
    assert "could not be drawn" not in text
    assert "1000 phones: p50" in text
    assert "9000 requests of phones" in text
    # Of more events than the table has room for, those of the steps; no first registration is in it.
    assert "400 events as a table" in text
    assert "-8.9500" not in text


@needs_browser
def test_a_report_of_a_thousand_phones_opens_without_an_error(many_report: Path):
    async def act(shown: Page) -> list[str]:
        return shown.console

    assert visit(many_report, act) == []


def report_of(story: str, folder: Path) -> Path:
    recordings = {"rehome": rehome, "urls": urls_without_slb, "call": lambda: call(Talk(lost=range(100, 110)), Talk())}
    recording = recordings[story]()
    run = recording.write(folder)
    proof = (Evidence(text="late", event=3), Evidence(text="seen", capture="phones-1.pcap", frame=7))
    verdicts = [
        Verdict(
            check=f"check of {status.name}",
            status=status,
            summary=f"{PHONES[0]} as told",
            evidence=proof,
            figures={"a_s": 1.5},
        )
        for status in Status
    ]
    (folder / "report.html").write_text(page(read(folder, run=run, verdicts=verdicts)), encoding="utf-8")
    return folder / "report.html"


@needs_browser
@pytest.mark.parametrize("story", ["rehome", "urls", "call"])
def test_a_report_opens_without_an_error_and_is_no_wider_than_its_window(tmp_path: Path, story: str):
    async def act(shown: Page) -> dict[str, Any]:
        widths = {}
        for width in (1280, 390):
            await shown.size(width, dark=False)
            widths[width] = await shown.evaluate("document.documentElement.scrollWidth")
        return {"console": shown.console, "widths": widths, "tips": await shown.evaluate(WALK)}

    found = visit(report_of(story, tmp_path / "run"), act)
    assert found["console"] == []
    assert found["widths"] == {1280: 1280, 390: 390}
    assert found["tips"] == [True, True, False]


WALK = """(() => {
  const marks = document.querySelectorAll('svg[data-marks="timeline"] .mark');
  const seen = [];
  marks[0].focus();
  seen.push(!document.getElementById('tip').hidden);
  document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true}));
  seen.push(document.activeElement === marks[1]);
  document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', bubbles: true}));
  seen.push(!document.getElementById('tip').hidden);
  return seen;
})()"""


VIOLATIONS = """axe.run().then(found => found.violations.map(
  one => one.id + ': ' + one.nodes.slice(0, 3).map(node => node.html.slice(0, 200) + ' ' + node.failureSummary).join(' | ')))"""


@needs_browser
@needs_axe
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("story", ["rehome", "urls", "call", "many"])
def test_axe_finds_nothing_wrong(tmp_path: Path, many_report: Path, story: str, dark: bool):
    file = tmp_path / "many.html" if story == "many" else report_of(story, tmp_path / "run")
    if story == "many":
        shutil.copy(many_report, file)
    found = axe_path()
    assert found is not None
    script = found.read_text(encoding="utf-8")

    async def act(shown: Page) -> Any:
        await shown.size(1280, dark=dark)
        await shown.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        await shown.evaluate(script + "; 1")
        return await shown.evaluate(VIOLATIONS)

    assert visit(file, act) == []
