"""Equations in time from people and files: arithmetic and nothing else.

The text is parsed once by Python's own parser and walked with a list of what is allowed; nothing is ever
compiled or evaluated by Python. Libraries were considered and left: ``sympy`` parses with ``eval``,
``numexpr`` filters text before an ``eval``, ``asteval`` and ``simpleeval`` know attributes, strings and whole
numbers of any size, which have to be forbidden one by one, and the latter computes one number at a time. Here
what is not listed does not exist, all numbers are doubles (so that no power grows without bounds), and one
call computes a whole array of times.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robobrain.errors import ConfigurationError

Floats = NDArray[np.float64]
_Node = Callable[[Mapping[str, Any]], Any]

LONGEST_TEXT = 500
DEEPEST = 40

_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
}
_SIGNS: dict[type[ast.unaryop], Callable[[Any], Any]] = {ast.UAdd: np.positive, ast.USub: np.negative}
FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "sin": (1, np.sin),
    "cos": (1, np.cos),
    "tan": (1, np.tan),
    "tanh": (1, np.tanh),
    "exp": (1, np.exp),
    "log": (1, np.log),
    "sqrt": (1, np.sqrt),
    "abs": (1, np.abs),
    "floor": (1, np.floor),
    "sign": (1, np.sign),
    "step": (1, lambda x: np.where(np.asarray(x) >= 0.0, 1.0, 0.0)),
    "min": (2, np.minimum),
    "max": (2, np.maximum),
    "clip": (3, lambda x, low, high: np.minimum(np.maximum(x, low), high)),
}
"""Functions by name: number of arguments, and what they do to arrays. ``step`` is 1 from 0 on, else 0."""
CONSTANTS = {"pi": math.pi, "e": math.e}
TIME = "t"

UNITS: dict[str, float] = {
    "1": 1.0,
    "s": 1.0,
    "ms": 1e-3,
    "Hz": 1.0,
    "kHz": 1e3,
    "rad": 1.0,
    "deg": math.pi / 180.0,
    "pA": 1.0,
    "nA": 1e3,
    "mV": 1.0,
    "mV/s": 1.0,
    "pA/s": 1.0,
    "Hz/s": 1.0,
}
"""Units of parameters, and what they are in the units of equations: s, Hz, rad, pA, mV."""
_QUANTITY = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(\S*)\s*")


class Equation:
    """A function of the time ``t`` in seconds, and of named parameters.

    Example:
        >>> drive = Equation("20 + 15*sin(2*pi*f*t)", {"f": "8 Hz"})
        >>> drive(np.array([0.0, 1 / 32])).round(6)
        array([20., 35.])
    """

    def __init__(self, text: str, parameters: Mapping[str, float | str] | None = None) -> None:
        """Parse ``text``.

        Args:
            text: Numbers, ``t``, ``pi``, ``e``, parameters, ``+ - * / % **``, parentheses, `FUNCTIONS`.
            parameters: By name, numbers or texts with one of the `UNITS`, e.g. ``"8 Hz"``.

        Raises:
            ConfigurationError: Anything else is in the text; says what.
        """
        self.text = text.strip()
        self._parameters = {name: quantity(value, name) for name, value in (parameters or {}).items()}
        for name in self._parameters:
            if not name.isidentifier() or name in FUNCTIONS or name in CONSTANTS or name == TIME:
                raise ConfigurationError(f"parameter {name!r}: choose a plain name that is not taken")
        self._value = self._compiled(_parse(self.text), DEEPEST)

    def __call__(self, t_s: Floats) -> Floats:
        """Return the values at the times ``t_s``, shape as given; NaN or infinite where it has none."""
        with np.errstate(all="ignore"):
            values = self._value({**CONSTANTS, **self._parameters, TIME: t_s})
        return np.broadcast_to(np.asarray(values, dtype=np.float64), t_s.shape)

    def _compiled(self, node: ast.expr, levels: int) -> _Node:
        if levels == 0:
            raise ConfigurationError(f"equation {_shown(self.text)}: nested more than {DEEPEST} levels deep")
        match node:
            case ast.Constant(value=bool() | str() | bytes() | complex() | None):
                raise self._refused(node, "only plain numbers")
            case ast.Constant(value=int() | float() as number):
                constant = self._number(number)
                return lambda _: constant
            case ast.Name(id=name):
                if name != TIME and name not in self._parameters and name not in CONSTANTS:
                    known = ", ".join([TIME, *CONSTANTS, *self._parameters])
                    raise self._refused(node, f"unknown name {name!r}; there are {known}")
                return lambda names: names[name]
            case ast.UnaryOp(op=sign, operand=inner) if type(sign) in _SIGNS:
                apply, value = _SIGNS[type(sign)], self._compiled(inner, levels - 1)
                return lambda names: apply(value(names))
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
                combine = _OPERATORS[type(operator)]
                first, second = self._compiled(left, levels - 1), self._compiled(right, levels - 1)
                return lambda names: combine(first(names), second(names))
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._call(node, name, arguments, levels)
        raise self._refused(node, f"{type(node).__name__} is not arithmetic")

    def _call(self, node: ast.expr, name: str, arguments: list[ast.expr], levels: int) -> _Node:
        if name not in FUNCTIONS:
            raise self._refused(node, f"unknown function {name!r}; there are {', '.join(FUNCTIONS)}")
        number, function = FUNCTIONS[name]
        if len(arguments) != number:
            raise self._refused(node, f"{name} takes {number} argument(s), not {len(arguments)}")
        values = [self._compiled(argument, levels - 1) for argument in arguments]
        return lambda names: function(*(value(names) for value in values))

    def _number(self, number: float) -> np.float64:
        try:
            value = np.float64(number)
        except OverflowError:
            value = np.float64(math.inf)
        if not math.isfinite(value):
            raise ConfigurationError(f"equation {_shown(self.text)}: a number is too large for a double")
        return value

    def _refused(self, node: ast.expr, why: str) -> ConfigurationError:
        where = ast.get_source_segment(self.text, node) or self.text
        return ConfigurationError(f"equation {_shown(self.text)}: {why}, at {_shown(where)}")


def quantity(value: float | str, name: str) -> float:
    """Return a number, or a text like ``"8 Hz"``, in the units of equations.

    Raises:
        ConfigurationError: It is neither, or its unit is unknown.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ConfigurationError(f"parameter {name!r}: {value!r} is neither a number nor a text like '8 Hz'")
    if isinstance(value, str):
        found = _QUANTITY.fullmatch(value)
        if found is None or (found[2] or "1") not in UNITS:
            raise ConfigurationError(
                f"parameter {name!r}: {_shown(value)} is no number with one of the units {', '.join(UNITS)}"
            )
        value = float(found[1]) * UNITS[found[2] or "1"]
    if not math.isfinite(value):
        raise ConfigurationError(f"parameter {name!r} must be finite")
    return float(value)


def _parse(text: str) -> ast.expr:
    if len(text) > LONGEST_TEXT:
        raise ConfigurationError(
            f"equation {_shown(text)}: {len(text)} characters, at most {LONGEST_TEXT} are allowed"
        )
    if strange := next((character for character in text if not character.isascii()), None):
        # Python's parser takes many letters for those that they look like.
        raise ConfigurationError(f"equation {_shown(text)}: {strange!r} is no ASCII character")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return ast.parse(text, mode="eval").body
    except (SyntaxError, SyntaxWarning, DeprecationWarning, ValueError, MemoryError, RecursionError) as error:
        raise ConfigurationError(f"equation {_shown(text)}: not readable ({error})") from None


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
