"""What a check is: a kind with a name, its parameters, and a pure function from a run to a verdict."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from testbed.recording import Run
from testbed.verdict import Evidence, Status, Verdict


def _expression(text: str) -> str:
    try:
        if text and re.search(text, ""):
            raise ValueError("is found in everything: write words of the verdict that is expected")
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    return text


class Params(BaseModel):
    """Parameters of an expectation; an unknown word is refused. ``claim``: a requirement, or a prediction of the page.

    ``want: fail``: the check must fail, and for the reason named, ``cause``: words, or a regular expression, found in the verdict's
    summary or in what proves it. A failure for any other reason shows nothing of what the scenario is about.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    claim: Literal["requirement", "page"] = "requirement"
    want: Literal["pass", "fail"] = "pass"
    cause: Annotated[str, Field(max_length=200), AfterValidator(_expression)] = ""

    @model_validator(mode="after")
    def _names_the_cause_of_a_failure(self) -> Self:
        if self.want == "fail" and not self.cause:
            raise ValueError("want: fail needs a cause: words of the verdict that is expected")
        if self.cause and self.want != "fail":
            raise ValueError("cause belongs to want: fail")
        return self


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckKind:
    """A registered kind of expectation; ``judge(run, params)`` is pure. ``rests_on_packets``: its PASS is worth nothing where a capture
    is unsound."""

    name: str
    params: type[Params]
    judge: Callable[[Run, Any], Verdict]
    help: str
    rests_on_packets: bool = False


def as_wanted(verdict: Verdict, params: Params) -> Verdict:
    """The verdict on the expectation, given that on the bed: with ``want: fail`` it passes where the bed failed by that cause.

    What showed nothing shows nothing of a failure either.
    """
    if params.want == "pass":
        return verdict
    status, said = verdict.status, f"expected to fail ({params.cause}), but nothing was shown"
    if verdict.status is Status.PASS:
        status, said = Status.FAIL, f"expected to fail ({params.cause}), but passed"
    elif verdict.status is Status.FAIL and _found(verdict, params.cause):
        status, said = Status.PASS, f"fails as expected ({params.cause})"
    elif verdict.status is Status.FAIL:
        said = f"fails, but by another cause than expected ({params.cause})"
    return replace(verdict, check=f"{verdict.check}, to fail", status=status, summary=f"{said}: {verdict.summary}")


def _found(verdict: Verdict, cause: str) -> bool:
    texts = (verdict.summary, *(item.text for item in verdict.evidence))
    return any(re.search(cause, text, re.IGNORECASE) for text in texts)


def doubted(verdict: Verdict, doubts: Sequence[Evidence]) -> Verdict:
    """A PASS is none where what it rests on cannot be relied on."""
    if verdict.status is not Status.PASS or not doubts:
        return verdict
    summary = f"{verdict.summary}; but {doubts[0].text}"
    return replace(verdict, status=Status.INCONCLUSIVE, summary=summary, evidence=(*verdict.evidence, doubts[0]))


def unfounded(verdict: Verdict, reasons: Sequence[Evidence]) -> Verdict:
    """Neither a PASS nor a FAIL is one where what it speaks of never happened."""
    if not reasons or verdict.status is Status.INCONCLUSIVE:
        return verdict
    summary = f"{reasons[0].text}, so nothing is shown by: {verdict.summary}"
    return replace(verdict, status=Status.INCONCLUSIVE, summary=summary, evidence=(*verdict.evidence, reasons[0]))
