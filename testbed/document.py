"""Users' YAML files, read strictly: an error names the file, the line, the place in it, and what is known instead."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from testbed.errors import ScenarioError

MAX_BYTES = 128 * 1024
"""Fifty times the longest file that ships; the slowest such file takes PyYAML between two and three seconds."""
MAX_NODES = 20_000
"""Counted after aliases are followed, so a few lines of nested aliases cannot grow into gigabytes."""
MAX_DEPTH = 40
_MAX_REPORTED = 5

Where = tuple[str | int, ...]
"""A place in a document: keys and list indices (from 0) from the top."""

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A YAML mapping as plain values, and the line (from 1) on which each of its places begins."""

    file: str
    value: dict[str, Any]
    lines: Mapping[Where, int]

    def line_of(self, where: Sequence[str | int]) -> int:
        """Line of this place, or of the nearest place around it that exists."""
        place = tuple(where)
        while place not in self.lines:
            place = place[:-1]
        return self.lines[place]

    def error(self, message: str, where: Sequence[str | int], *, hint: str = "") -> ScenarioError:
        """An error at this place."""
        return ScenarioError(message, file=self.file, line=self.line_of(where), path=dotted(where), hint=hint)


def dotted(where: Iterable[str | int]) -> str:
    """``("steps", 0, "inject") -> "steps.0.inject"``."""
    return ".".join(map(str, where))


def known_words(word: str, known: Iterable[str]) -> str:
    """A hint: the closest known word, if one is close, and all of them."""
    words = list(known)
    close = difflib.get_close_matches(word, words, n=1)
    return (f"did you mean {close[0]!r}? " if close else "") + "known: " + (", ".join(words) or "none")


def is_there(path: Path) -> bool:
    """Whether there is such a file or folder that can be looked at. Of a name that is too long for one Path.exists raises OSError."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def is_file(path: Path) -> bool:
    """Whether there is such a file: False for whatever a user may write that is the name of none."""
    return is_there(path) and path.is_file()


def read_document(path: Path) -> Document:
    """The YAML mapping in this file; ScenarioError where there is no such file or it holds anything else."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: no name of a file has a NUL
        why = getattr(error, "strerror", "") or error
        raise ScenarioError(f"cannot be read: {why}", file=str(path), hint="check the path") from None
    return parse_document(content, file=str(path))


def parse_document(content: bytes, *, file: str) -> Document:
    """The same for content that is already in memory; ``file`` is only named in errors."""
    if len(content) > MAX_BYTES:
        raise ScenarioError(
            f"is larger than {MAX_BYTES} bytes", file=file, hint="this is no file of ours: check the path"
        )
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ScenarioError("is not UTF-8 text", file=file, line=line, hint="save it as UTF-8") from None
    try:
        root = _Composer(text).get_single_node()
    except yaml.YAMLError as error:
        raise _not_yaml(error, text, file) from None
    if root is None:
        raise ScenarioError("is empty", file=file, line=1, hint="it must hold a mapping, `key: value`")
    if not isinstance(root, yaml.MappingNode):
        raise ScenarioError("must hold a mapping, `key: value`, at the top", file=file, line=_line(root))
    builder = _Builder(file)
    return Document(file=file, value=builder.build(root, ()), lines=builder.lines)


class _Composer(yaml.SafeLoader):
    """PyYAML's parser up to the tree of nodes, with a limit on depth: it recurses once a level."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {MAX_DEPTH} levels", problem_mark=self.get_mark())
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _not_yaml(error: yaml.YAMLError, text: str, file: str) -> ScenarioError:
    line, problem = None, str(error)
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        problem = ", ".join(part for part in (error.context, error.problem) if part)
    elif isinstance(error, yaml.reader.ReaderError):
        line = text[: error.position].count("\n") + 1
        problem = f"character {ord(text[error.position]):#x} is not allowed"
    return ScenarioError(f"is not YAML: {problem}", file=file, line=line)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


_TAG = "tag:yaml.org,2002:"


class _Builder:
    """Builds plain values from nodes and notes the line of every place."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[Where, int] = {}
        self._nodes = 0
        self._scalars = yaml.constructor.SafeConstructor()

    def build(self, node: yaml.Node, where: Where) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES or len(where) > MAX_DEPTH:
            raise self._error("holds too many values (aliases are counted as often as they are used)", node, where)
        self.lines.setdefault(where, _line(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, where)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*where, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, where)

    def _mapping(self, node: yaml.MappingNode, where: Where) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error("a key must be a word", key_node, where)
            key = str(key_node.value)
            place = (*where, key)
            if key in result:
                raise self._error(f"the key {key!r} is there twice, first on line {self.lines[place]}", key_node, place)
            self.lines[place] = _line(key_node)
            result[key] = self.build(value_node, place)
        return result

    def _scalar(self, node: yaml.Node, where: Where) -> Any:
        kind = node.tag.removeprefix(_TAG)
        if kind not in ("str", "int", "float", "bool", "null", "timestamp"):
            raise self._error(f"the tag {node.tag!r} is not known", node, where)
        try:
            value = str(node.value) if kind in ("str", "timestamp") else self._scalars.construct_object(node)
            str(value).encode()
        except (ValueError, KeyError, IndexError):
            raise self._error(f"{node.value[:40]!r} is no {kind}", node, where) from None
        if isinstance(value, float) and not math.isfinite(value):
            raise self._error(f"{node.value!r} is no number", node, where)
        return value

    def _error(self, message: str, node: yaml.Node, where: Where) -> ScenarioError:
        return ScenarioError(message, file=self.file, line=_line(node), path=dotted(where))


def unknown_word(word: str, known: Iterable[str]) -> PydanticCustomError:
    """For validators of models: an error that ``validated`` reports with the known words."""
    return PydanticCustomError("unknown_word", "unknown word {word}", {"word": repr(word), "known": [word, *known]})


def misplaced(message: str, where: Where) -> PydanticCustomError:
    """For validators of whole models: an error about a place inside, which ``validated`` reports there."""
    return PydanticCustomError("misplaced", "{message}", {"message": message, "where": where})


def validated(document: Document, model: type[M]) -> M:
    """The document as this model; ScenarioError names every wrong place."""
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        raise _report(document, model, error.errors(include_url=False)) from None


def _report(document: Document, model: type[BaseModel], details: list[ErrorDetails]) -> ScenarioError:
    """The first error in full, the others as further lines; a union's second opinion about one place is left out."""
    problems: dict[Where, tuple[str, str]] = {}
    for detail in details:
        if _counts_wrong_items(detail):
            continue
        where = _where(document, detail)
        if where not in problems:
            problems[where] = _problem(detail, _words_of(model, where[:-1]))
    ordered = sorted(problems.items(), key=lambda item: document.line_of(item[0]))
    (first, (message, hint)), rest = ordered[0], ordered[1:]
    for where, (other, advice) in rest[:_MAX_REPORTED]:
        message += f"\n  also {document.file}:{document.line_of(where)}: {dotted(where)}: {other}"
        message += f" ({advice})" if advice else ""
    if len(rest) > _MAX_REPORTED:
        message += f"\n  and {len(rest) - _MAX_REPORTED} more"
    return document.error(message, first, hint=hint)


def _counts_wrong_items(detail: ErrorDetails) -> bool:
    """Pydantic counts items that are not right as missing; each of them is reported already."""
    return detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]


def words_said(error: ValidationError, model: type[BaseModel]) -> tuple[str, str]:
    """What is wrong with parameters that were not read from a file, and what to write instead: of the first wrong one."""
    detail = error.errors(include_url=False)[0]
    message, hint = _problem(detail, _words_of(model, ()))
    where = dotted([part for part in detail["loc"] if isinstance(part, str)])
    return f"{where}: {message}" if where else message, hint


def _where(document: Document, detail: ErrorDetails) -> Where:
    """Pydantic's location without the parts that name branches of unions instead of places in the document."""
    where: list[str | int] = []
    for part in (*detail["loc"], *detail.get("ctx", {}).get("where", ())):
        if (*where, part) in document.lines:
            where.append(part)
    if detail["type"] == "missing":
        where.append(detail["loc"][-1])
    return tuple(where)


_NOUNS = {
    "int": "a whole number",
    "float": "a number",
    "string": "text",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "model": "a mapping",
    "dict": "a mapping",
}


def _problem(detail: ErrorDetails, siblings: list[str]) -> tuple[str, str]:
    """What is wrong, and what to write instead."""
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        word = str(detail["loc"][-1])
        return f"unknown word {word!r}", known_words(word, siblings)
    if kind == "missing":
        return "is missing", ""
    if kind == "literal_error":
        return f"unknown word {value!r}", known_words(str(value), re.findall(r"'([^']*)'", context["expected"]))
    if kind == "unknown_word":
        word, *known = context["known"]
        return detail["msg"], known_words(word, known)
    wanted, _, reason = kind.rpartition("_")
    if reason in ("type", "parsing") and wanted in _NOUNS:
        return f"must be {_NOUNS[wanted]}, not {_described(value)}", ""
    message = detail["msg"].removeprefix("Value error, ").replace(" after validation", "")
    return re.sub(r"^[A-Z][a-z]+ should", "must", message), ""


def _described(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:60] + "…"


def _words_of(model: type[BaseModel], where: Where) -> list[str]:
    """Keys that the model knows at this place."""
    found = [model]
    for part in where:
        if isinstance(part, str):
            found = [inner for outer in found for inner in _models_in(_fields(outer).get(part))]
    return [word for inner in found for word in _fields(inner)]


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    """Key -> annotation."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
