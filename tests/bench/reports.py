"""The report of a run of a thousand phones: how large it is, and how long a browser takes until it is drawn."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from chromium import Page, browser_path, visit
from many_phones import MANY, many
from rich.console import Console
from rich.table import Table

from testbed.report.keep import write_report

ROUNDS = 3


def rows() -> list[tuple[str, str, str]]:
    """(what, asked, measured); the time is the least of ROUNDS visits, since the first also finds fonts and fills the machine's caches."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        many().write(run)
        report = write_report(run, None)[0]
        size = f"{report.stat().st_size / 1e6:.2f} MB"
        opened = f"{min(visit(report, _loaded_s) for _ in range(ROUNDS)):.2f} s" if browser_path() else "no Chromium"
    return [(f"a report of {MANY:,} phones: size, opens in Chromium", "≤ 5 MB, ≤ 2 s", f"{size}, {opened}")]


async def _loaded_s(page: Page) -> float:
    return page.loaded_s


if __name__ == "__main__":
    table = Table("what", "asked", "measured", box=None, pad_edge=False)
    for row in rows():
        table.add_row(*row)
    Console(width=130).print(table)
    sys.exit(0)
