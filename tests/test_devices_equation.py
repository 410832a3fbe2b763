"""Equations: what they compute, and that nothing but arithmetic is accepted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robobrain.brain.equation import FUNCTIONS, Equation, quantity
from robobrain.brain.selectors import Selector
from robobrain.brain.signals import DirectEquationSource, Unit
from robobrain.errors import ConfigurationError

T_S = np.linspace(0.0, 2.0, 101)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20 + 15*sin(2*pi*8*t)", 20 + 15 * np.sin(2 * np.pi * 8 * T_S)),
        ("f*t**2 - -3 % 2", 8.0 * T_S**2 - np.mod(-3.0, 2.0)),
        ("clip(t, 0.5, 1) + step(t - 1)", np.clip(T_S, 0.5, 1.0) + (T_S >= 1.0)),
        ("max(0, cos(pi*t)) / (1 + exp(-t))", np.maximum(0, np.cos(np.pi * T_S)) / (1 + np.exp(-T_S))),
        ("7", np.full_like(T_S, 7.0)),
        ("  t\n", T_S),
    ],
)
def test_equations_compute_what_they_say(text: str, expected: np.ndarray) -> None:
    np.testing.assert_allclose(Equation(text, {"f": 8})(T_S), expected, rtol=1e-12)


HOSTILE = [
    "__import__('os').system('true')",
    "t.__class__",
    "().__class__.__bases__[0].__subclasses__()",
    "(lambda: 1)()",
    "[x for x in (1, 2)]",
    "open('/etc/passwd')",
    "eval('1')",
    "exec('1')",
    "sin",
    "sin(t, t)",
    "sin(x=t)",
    "sin(*[t])",
    "unknown + 1",
    "t if t else 1",
    "t and 1",
    "t < 1",
    "not t",
    "~t",
    "1 << 9",
    "t @ t",
    "t // 1",
    "'a' * 9",
    "b'a'",
    "1j",
    "True",
    "None",
    "...",
    "f'{t}'",
    "t[0]",
    "{1: 2}",
    "(y := 1)",
    "import os",
    "t; t",
    "t = 1",
    "",
    "1e999",
    "9" * 400,
    "(" * 300 + "t" + ")" * 300,
    "-" * 400 + "t",
    "t" + "+t" * 300,
    "\x00",
    "\ud800",
    "await t",
    "yield",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_no_arithmetic_is_refused_with_a_message(text: str) -> None:
    with pytest.raises(ConfigurationError, match="equation"):
        Equation(text)


UNBOUNDED = ["9**9**9**9", "2**(2**(2**(2**(2**2))))", "1/0", "log(-1)", "exp(exp(exp(9)))"]


@pytest.mark.parametrize("text", UNBOUNDED)
def test_values_without_bounds_are_found_when_the_source_is_declared(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"source x: .* no finite value at t = 0 s"):
        DirectEquationSource(
            name="x",
            equation=text,
            unit=Unit.CURRENT,
            targets=(Selector(population="a"),),
            low=0.0,
            high=1.0,
            provenance="assumed: test",
        )


@settings(max_examples=400, deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_an_equation_or_refused(text: str) -> None:
    try:
        values = Equation(text)(T_S)
    except ConfigurationError:
        return
    assert values.shape == T_S.shape
    assert values.dtype == np.float64


words = st.sampled_from(
    [*"tx()+-*/%,1.[]:'_", "pi", "**", "2.5", "__class__", "import", "lambda", "==", "if", "else", *FUNCTIONS]
)


@settings(max_examples=600, deadline=None)
@given(st.lists(words, max_size=25).map("".join))
def test_anything_made_of_the_words_of_equations_is_an_equation_or_refused(text: str) -> None:
    try:
        values = Equation(text, {"x": 1.5})(T_S)
    except ConfigurationError:
        return
    assert values.shape == T_S.shape


numbers = st.floats(-1e3, 1e3).map(repr)
trees = st.recursive(
    numbers | st.just("t"),
    lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda parts: f"({''.join(parts)})"),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(trees)
def test_arithmetic_agrees_with_pythons_own(text: str) -> None:
    expected = [eval(text, {"t": float(t)}) for t in T_S]
    np.testing.assert_allclose(Equation(text)(T_S), expected, rtol=1e-9, atol=1e-9)


QUANTITIES: list[tuple[float | str, float]] = [
    (8, 8.0),
    ("8 Hz", 8.0),
    ("0.02 kHz", 20.0),
    ("125 ms", 0.125),
    ("90deg", math.pi / 2),
    (" -1.5e1 pA ", -15.0),
]
NO_QUANTITIES = ["8 hours", "Hz", "8 Hz Hz", "", "1e999 Hz", "nan", True, None, math.inf, "8; 9"]


@pytest.mark.parametrize(("value", "expected"), QUANTITIES)
def test_quantities_are_turned_into_the_units_of_equations(value: float | str, expected: float) -> None:
    assert quantity(value, "f") == pytest.approx(expected)


@pytest.mark.parametrize("value", NO_QUANTITIES)
def test_wrong_units_and_numbers_are_refused(value: object) -> None:
    with pytest.raises(ConfigurationError, match="parameter 'f'"):
        quantity(value, "f")


@pytest.mark.parametrize("name", ["t", "pi", "sin", "a b", "__x y", "1a"])
def test_names_of_parameters_that_are_taken_or_no_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="choose a plain name"):
        Equation("1", {name: 1.0})
