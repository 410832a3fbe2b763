"""YAML files from people, read with bounds: small enough, plain data, no key twice, nothing within itself."""

from __future__ import annotations

import re
from collections import Counter
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, NoReturn

import yaml

from robobrain.errors import ConfigurationError, TableError

LONGEST_TEXT = 1_000_000
"""Characters that a file may have (*assumed*: 90 times the longest of the package)."""
MOST_VALUES = 50_000
"""Values, keys and lists that a file may stand for, each alias counted as what it repeats (*assumed*: 50
times the largest of the package; reading as many takes about two seconds)."""
LONGEST_NUMBER = 100
"""Characters of anything but text (*assumed*: no double needs as many). PyYAML takes a time that grows with
the square of their number to read ``1:1:1:1``."""


def read_yaml(path: Path | Traversable) -> dict[Any, Any]:
    """Return the mapping in a YAML file in which no key is given twice and nothing contains itself.

    Raises:
        ConfigurationError: It can't be read.
        TableError: It is no mapping, or is larger than `LONGEST_TEXT` or `MOST_VALUES`.
    """
    file = path.name
    try:
        with path.open(encoding="utf-8") as opened:
            text = opened.read(LONGEST_TEXT + 1)
        document = None if len(text) > LONGEST_TEXT else yaml.load(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise TableError(file, line, f"not readable as YAML: {error.problem}", "correct the file") from error
    except OSError as error:
        raise ConfigurationError(
            f"{path} can't be read: {error.strerror or error}. Fix: give the path of a YAML file."
        ) from error
    except RecursionError as error:
        raise TableError(file, 1, "is nested too deeply to be read", "use fewer brackets") from error
    except (ValueError, ArithmeticError, LookupError, AttributeError, yaml.YAMLError) as error:
        # PyYAML lets errors of what it constructs through: 2001-99-99, !!bool maybe, !!timestamp soon.
        problem = " ".join(str(error).split())
        raise TableError(file, 1, f"not readable as YAML: {problem}", "correct the file") from error
    if len(text) > LONGEST_TEXT:
        raise TableError(file, 1, f"longer than {LONGEST_TEXT:,} characters", "give a shorter file")
    if not isinstance(document, dict):
        raise TableError(file, 1, "not a mapping", "give named sections")
    return document


class _StrictLoader(yaml.SafeLoader):
    """Plain YAML of bounded size; a key given twice is an error, no silent loss, as is a node in itself."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._values = 0
        self._values_of: dict[yaml.Node, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> Any:
        before = self._values
        node: Any = super().compose_node(parent, index)
        repeats = self._values_of.get(node)  # known where this is an alias
        self._values += repeats or 1
        if self._values > MOST_VALUES:
            self._refuse(node, f"it stands for more than {MOST_VALUES:,} values")
        if node.tag != self.DEFAULT_SCALAR_TAG and len(node.value) > LONGEST_NUMBER and node.id == "scalar":
            self._refuse(node, f"a number of {len(node.value):,} characters")
        if repeats is None:
            self._values_of[node] = self._values - before
        return node

    def _refuse(self, node: yaml.Node, problem: str) -> NoReturn:
        raise yaml.composer.ComposerError(None, None, problem, node.start_mark)

    def construct_document(self, node: yaml.Node) -> Any:
        # In one go rather than level by level, which PyYAML does for nodes that contain themselves.
        return self.construct_object(node, deep=True)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        # Here, as later a node stands for what is merged into it too, whose keys its own may repeat.
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        if twice := [key for key, number in keys.items() if number > 1]:
            self._refuse(node, f"key given twice: {', '.join(twice)}")
        return node


_StrictLoader.add_implicit_resolver(  # PyYAML takes 1e3, .5e3 and -.5 for texts, as no YAML after 1.1 does.
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?\Z"),
    list("-+.0123456789"),
)
