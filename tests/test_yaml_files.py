"""YAML from people: small, plain, and refused in a line where it is neither, whoever reads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from robobrain.body import ForelimbSpec
from robobrain.brain.interfaces import load_devices
from robobrain.errors import TableError
from robobrain.tasks.joystick.specification import load_task
from robobrain.tasks.openloop import load_protocol
from robobrain.yaml_files import LONGEST_NUMBER, LONGEST_TEXT, MOST_VALUES, read_yaml


def levels(first: str, line: str) -> str:
    """Return a text in which each of nine levels repeats the one before ten times."""
    repeats = (line.format(level=level, below=", ".join([f"*a{level - 1}"] * 10)) for level in range(1, 10))
    return "\n".join([f"a0: &a0 {first}", *repeats])


BOMBS = {
    "lists": (levels("[1, 2, 3]", "a{level}: &a{level} [{below}]"), "more than 50,000 values"),
    "merges": (levels("{x: 1, y: 2}", "a{level}: &a{level} {{<<: [{below}]}}"), "more than 50,000"),
    "base 60": (f"a: 1{':1' * 100_000}", "a number of 200,001 characters"),
    "wide": (f"a: [{'1, ' * MOST_VALUES}]", "more than 50,000 values"),
    "long": (f"a: {'x' * LONGEST_TEXT}", "longer than 1,000,000 characters"),
    "deep": (f"a: {'[' * 10_000}", "nested too deeply"),
    "itself": ("a: &a [*a]", "recursive"),
}


@pytest.mark.parametrize("load", [load_devices, load_task, load_protocol, ForelimbSpec.load])
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_text_that_grows_when_it_is_read_is_refused_by_every_reader(
    tmp_path: Path, load: Callable[[Path], object], bomb: str
) -> None:
    text, problem = BOMBS[bomb]
    file = tmp_path / "bomb.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(TableError, match=f"bomb.yaml, row .*{problem}") as refused:
        load(file)
    assert "\n" not in str(refused.value)


def test_what_has_no_end_is_not_read_to_its_end() -> None:
    with pytest.raises(TableError, match=r"zero, row 1: longer than"):
        read_yaml(Path("/dev/zero"))


def test_aliases_within_bounds_stand_for_what_they_repeat(tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_text("a: &a {x: 1, y: [2, 3]}\nb: {<<: *a, x: 4}\nc: [*a, *a]\n", encoding="utf-8")
    first = {"x": 1, "y": [2, 3]}
    assert read_yaml(file) == {"a": first, "b": {"x": 4, "y": [2, 3]}, "c": [first, first]}
    half = ", ".join(["1"] * (MOST_VALUES // 2 - 5))
    file.write_text(f"a: &a [{half}]\nb: *a\n", encoding="utf-8")
    assert len(read_yaml(file)["b"]) == MOST_VALUES // 2 - 5
    file.write_text(f"a: &a [{half}]\nb: *a\nc: *a\n", encoding="utf-8")
    with pytest.raises(TableError, match=r"row 1: .*more than 50,000 values"):
        read_yaml(file)


def test_a_number_with_an_exponent_is_a_number_as_long_as_a_double_can_need(tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(f"a: [1e3, -2E-3, 1.e2, 1.5e+2, {'9' * LONGEST_NUMBER}]\nb: 1e3 Hz\n", encoding="utf-8")
    assert read_yaml(file) == {"a": [1e3, -2e-3, 100.0, 150.0, 10**LONGEST_NUMBER - 1], "b": "1e3 Hz"}


@pytest.mark.parametrize("text", [".5", "-.5", "+.5", ".5e3", "-.5e-3", "1.", "-1.5E+2", "7e0"])
def test_what_is_a_float_since_yaml_1_2_is_one(tmp_path: Path, text: str) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(f"a: {text}\n", encoding="utf-8")
    assert repr(read_yaml(file)["a"]) == repr(float(text))


@pytest.mark.parametrize("text", [".", "e3", ".e3", "1e", "1e3.5", "5.a", "1.2.3"])
def test_what_is_no_float_stays_a_text(tmp_path: Path, text: str) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(f"a: {text}\nb: 12\n", encoding="utf-8")
    assert read_yaml(file) == {"a": text, "b": 12}


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3", "b: {a: 1, a: 2}", "? {a: 1, a: 2}\n: b"])
def test_a_key_given_twice_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(TableError, match=r"file.yaml, row 1: .*key given twice: a"):
        read_yaml(file)


def test_a_key_merged_and_given_anew_is_not_given_twice_wherever_it_is_repeated(tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_text("a: &a {x: 1}\nb: {<<: &x {<<: *a, x: 4}, y: 1}\nc: *x\n", encoding="utf-8")
    assert read_yaml(file) == {"a": {"x": 1}, "b": {"x": 4, "y": 1}, "c": {"x": 4}}
