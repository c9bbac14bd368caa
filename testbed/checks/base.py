"""What a check is: a kind with a name, its parameters, and a pure function from a run to a verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from testbed.recording import Run
from testbed.verdict import Verdict


class Params(BaseModel):
    """Parameters of an expectation; an unknown word is refused. ``claim``: a requirement, or a prediction of the page."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    claim: Literal["requirement", "page"] = "requirement"


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckKind:
    """A registered kind of expectation; ``judge(run, params)`` is pure."""

    name: str
    params: type[Params]
    judge: Callable[[Run, Any], Verdict]
    help: str
