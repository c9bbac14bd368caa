"""Bad files are refused with the file, the line, the place and what is known; no bytes do anything worse."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from testbed.document import (
    MAX_BYTES,
    Document,
    is_file,
    is_there,
    parse_document,
    read_document,
    unknown_word,
    validated,
)
from testbed.errors import EXIT_USAGE, ScenarioError


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid")

    host: str
    colour: Literal["red", "green"] = "red"
    from_: str = Field(default="", alias="from")


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    count: int = 0
    items: tuple[Item, ...] = ()
    either: Literal["all"] | tuple[str, ...] = "all"


def parsed(text: str) -> Document:
    return parse_document(text.encode(), file="x.yaml")


def refused(text: str | bytes) -> ScenarioError:
    content = text.encode() if isinstance(text, str) else text
    with pytest.raises(ScenarioError) as caught:
        validated(parse_document(content, file="x.yaml"), Model)
    assert caught.value.exit_code == EXIT_USAGE
    return caught.value


def test_every_place_knows_its_line() -> None:
    document = parsed("# comment\nname: a\nitems:\n  - host: x\n    colour: red\n  - {host: y}\n")
    assert document.value == {"name": "a", "items": [{"host": "x", "colour": "red"}, {"host": "y"}]}
    places = [(), ("name",), ("items",), ("items", 0), ("items", 0, "colour"), ("items", 1, "host")]
    assert [document.line_of(place) for place in places] == [2, 2, 3, 4, 5, 6]


def test_a_place_that_does_not_exist_has_the_line_of_what_is_around_it() -> None:
    assert parsed("name: a\nitems:\n  - host: x\n").line_of(("items", 0, "missing", 7)) == 3


@pytest.mark.parametrize(
    ("text", "line", "path", "message"),
    [
        ("", 1, "", "is empty"),
        ("# only a comment\n", 1, "", "is empty"),
        ("- a\n- b\n", 1, "", "must hold a mapping"),
        ("\n\nword\n", 3, "", "must hold a mapping"),
        ("name: a\nitems: [\n", 3, "", "is not YAML"),
        ("name: a\n\tcount: 1\n", 2, "", "is not YAML"),
        ("name: a\n---\nname: b\n", 2, "", "is not YAML"),
        ("name: a\ncount: *nowhere\n", 2, "", "is not YAML"),
        ("name: a\nname: b\n", 2, "name", "is there twice, first on line 1"),
        ("name: a\nitems:\n  - host: x\n    host: y\n", 4, "items.0.host", "is there twice, first on line 3"),
        ("? [a, b]\n: c\n", 1, "", "a key must be a word"),
        ("name: !!python/object:os.system x\n", 1, "name", "is not known"),
        ("name: a\ncount: !!int abc\n", 2, "count", "'abc' is no int"),
        ("name: a\ncount: .nan\n", 2, "count", "is no number"),
        ("name: a\ncount: " + "9" * 5000, 2, "count", "is no int"),
        ('name: "\\ud800"\n', 1, "name", "is no str"),
        ("name: a\nitems: " + "[" * 60, 2, "", "nested deeper than"),
        ("name: &a [*a]\n", 1, "name" + ".0" * 40, "too many values"),
        ("name: \0", 1, "", "character 0x0 is not allowed"),
    ],
)
def test_what_is_no_plain_mapping_is_refused_on_its_line(text: str, line: int, path: str, message: str) -> None:
    error = refused(text)
    assert (error.file, error.line, error.path) == ("x.yaml", line, path)
    assert message in error.message
    assert error.message.startswith(f"x.yaml:{line}: ")


@pytest.mark.parametrize(
    ("text", "line", "path", "message", "hint"),
    [
        (
            "name: a\ncuont: 3\n",
            2,
            "cuont",
            "unknown word 'cuont'",
            "did you mean 'count'? known: name, count, items, either",
        ),
        (
            "name: a\nitems:\n  - host: x\n    form: y\n",
            4,
            "items.0.form",
            "unknown word 'form'",
            "did you mean 'from'? known: host, colour, from",
        ),
        (
            "name: a\nitems:\n  - {host: x, colour: gren}\n",
            3,
            "items.0.colour",
            "unknown word 'gren'",
            "did you mean 'green'? known: red, green",
        ),
        ("count: 1\n", 1, "name", "is missing", ""),
        ("name: a\nitems:\n\n  - colour: red\n", 4, "items.0.host", "is missing", ""),
        ("name: a\ncount: many\n", 2, "count", 'must be a whole number, not "many"', ""),
        ("name: 3\n", 1, "name", "must be text, not 3", ""),
        ("name:\n", 1, "name", "must be text, not nothing", ""),
        ("name: a\nitems: x\n", 2, "items", 'must be a list, not "x"', ""),
        ("name: a\nitems:\n- x\n", 3, "items.0", 'must be a mapping, not "x"', ""),
        ("name: a\nitems: {host: x}\n", 2, "items", "must be a list, not a mapping", ""),
    ],
)
def test_what_the_model_does_not_know_is_refused_with_what_it_knows(
    text: str, line: int, path: str, message: str, hint: str
) -> None:
    error = refused(text)
    assert (error.line, error.path, error.hint) == (line, path, hint)
    assert error.message == f"x.yaml:{line}: {path}: {message}" or message in error.message


def test_all_wrong_places_are_named_in_the_order_of_the_file() -> None:
    error = refused("count: x\nitems:\n  - {host: 1}\n  - {hots: y}\nname: a\n")
    assert [line.split(": ")[0].strip() for line in error.message.splitlines()] == [
        "x.yaml:1",
        "also x.yaml:3",
        "also x.yaml:4",
        "also x.yaml:4",
    ]


def test_a_union_complains_once_about_one_place() -> None:
    assert refused("name: a\neither: some\n").message.count("either") == 1


def test_a_validator_can_name_the_known_words() -> None:
    class Animal(BaseModel):
        animal: str

        def model_post_init(self, context: object) -> None:
            raise unknown_word(self.animal, ["cat", "dog"])

    with pytest.raises(ScenarioError, match="unknown word 'cta'") as caught:
        validated(parsed("animal: cta\n"), Animal)
    assert caught.value.hint == "did you mean 'cat'? known: cat, dog"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="cannot be read: No such file") as caught:
        read_document(tmp_path / "none.yaml")
    assert caught.value.file == str(tmp_path / "none.yaml")
    with pytest.raises(ScenarioError, match="cannot be read: Is a directory"):
        read_document(tmp_path)


@pytest.mark.parametrize(("name", "why"), [("x" * 300, "File name too long"), ("a\0b", "embedded null byte")])
def test_a_name_that_no_file_can_have_is_that_of_no_file(name: str, why: str, tmp_path: Path) -> None:
    assert not is_there(tmp_path / name)
    assert not is_file(tmp_path / name)
    with pytest.raises(ScenarioError, match=f"cannot be read: {why}"):
        read_document(tmp_path / name)


def test_a_folder_is_there_and_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert (is_there(tmp_path), is_file(tmp_path)) == (True, False)
    assert (is_there(tmp_path / "a"), is_file(tmp_path / "a")) == (True, True)


def test_a_file_that_is_too_large_is_not_parsed(tmp_path: Path) -> None:
    (tmp_path / "large.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ScenarioError, match="is larger than"):
        read_document(tmp_path / "large.yaml")


def test_a_file_in_another_encoding_is_named_with_the_line() -> None:
    error = refused(b"name: a\ncount: \xff\n")
    assert (error.line, "UTF-8" in error.message) == (2, True)


def test_aliases_that_would_grow_into_gigabytes_are_refused() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    with pytest.raises(ScenarioError, match="too many values"):
        parsed(bomb)


def test_an_honest_alias_is_followed() -> None:
    assert parsed("a: &x {host: y}\nb: *x\n").value == {"a": {"host": "y"}, "b": {"host": "y"}}


def test_dates_and_clock_times_stay_words_or_numbers() -> None:
    assert parsed("a: 2024-01-31\nb: yes\n").value == {"a": "2024-01-31", "b": True}


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_a_mapping_or_an_error_of_ours(content: bytes) -> None:
    try:
        document = parse_document(content, file="x.yaml")
    except ScenarioError:
        return
    assert isinstance(document.value, dict)


@given(st.text(alphabet="ab: \n-[]{}&*!|>'\"?%@`#,\t~<.0", max_size=80))
def test_arbitrary_punctuation_is_a_mapping_or_an_error_of_ours(text: str) -> None:
    try:
        document = parsed(text)
    except ScenarioError:
        return
    assert document.line_of(()) >= 1
