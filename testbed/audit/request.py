"""What is asked of `testbed audit`, and what does not fit together in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.audit.folders import captures_of
from testbed.errors import UsageError
from testbed.written import already_there, check_place, check_target


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """By which policy (None: describe), how to print it, files for the HTML report and for a policy that is learned, and whether to read
    on while the capture grows (``for_``: how long)."""

    files: Sequence[Path]
    policy_name: str | None = None
    output: str = "table"
    list_flows: bool = False
    html: Path | None = None
    learn: Path | None = None
    follow: bool = False
    for_: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", captures_of(self.files))
        if self.follow and len(self.files) > 1:
            raise UsageError("--follow reads one capture", hint="name the one that is written now")
        if self.for_ is not None and not self.follow:
            raise UsageError("--for ends what is followed", hint="add --follow")
        if self.output == "junit" and self.policy_name is None:
            raise UsageError("JUnit results are verdicts", hint="say by which policy: --policy NAME|FILE")
        if self.learn:
            self._check_learn(self.learn)
        if self.html:
            check_target(self.html, "HTML")
        if self.html and self.learn and self.html.resolve() == self.learn.resolve():
            raise UsageError(f"{self.html}: a report and a policy need a file each", hint="name two files")

    def _check_learn(self, file: Path) -> None:
        """A policy of one's own must not be lost to a learned one."""
        if self.policy_name is not None:
            raise UsageError("--learn writes a policy, --policy judges by one", hint="learn first, then judge by it")
        if file.suffix not in (".yaml", ".yml"):
            raise UsageError(f"--learn {file}: a policy is a .yaml file", hint=f"name it {file.name}.yaml")
        if file.exists():
            raise already_there(file)
        check_place(file)
