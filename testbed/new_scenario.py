"""A scenario file to begin with: a short one that runs, or a copy of one that is built in."""

from __future__ import annotations

import re
from pathlib import Path

from testbed.errors import UsageError
from testbed.scenario import SUFFIX, builtin_scenarios, load_scenario

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")

TEMPLATE = """\
# What it shows, and why. `testbed validate {file}` checks it, `testbed run {file}` performs it.
# Every word: docs/scenarios.md. Completion in editors: `testbed schema > scenario.schema.json`, then this line:
# yaml-language-server: $schema=scenario.schema.json
scenario: {name}
description: >-
  CCM-1 dies; every phone re-homes, and its pages go on.
# An overlay of your own goes behind bed.yaml.
bed: [bed.yaml]
phones: 12
profile: quick
capture: [phones-1, phones-2, ccm-1, ccm-bk, slb]
steps:
  - press: all-urls
  # It lasts until the steps are over. `for: 5s` or `until: rehomed` would end it before the next step.
  - at: 2s
    inject: {{kill: ccm-1}}
  - after: rehomed
    press: all-urls
expect:
  - registered: {{at: ccm-1, when: before}}
  - rehomed: {{from: ccm-1, to: ccm-bk}}
  - urls: {{when: during, work: [services, directory, information, messages, authentication, idle, proxy]}}
  - marking: {{policy: srnd-table-11-4}}
  - recovered: {{}}
"""


def write_new(name: str, like: str | None, folder: Path) -> Path:
    """``NAME.scenario.yaml`` in this folder, which must not be there yet; UsageError says what is wrong."""
    name = name.removesuffix(SUFFIX)
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for a scenario", hint="lower-case letters, digits and dashes")
    if like is None:
        text = TEMPLATE.format(name=name, file=name + SUFFIX)
    else:
        if like not in builtin_scenarios():
            raise UsageError(f"no built-in scenario {like!r}", hint="`testbed scenarios` lists them")
        text = load_scenario(like).file.read_text(encoding="utf-8")
        text = re.sub(r"(?m)^scenario: .*$", f"scenario: {name}", text, count=1)
    file = folder / (name + SUFFIX)
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise UsageError(f"{file} is there already", hint="choose another name; nothing was written") from None
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from None
    return file
