"""The layout is the architecture: who may import whom, and where randomness comes from."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import robobrain

PACKAGE = Path(robobrain.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
ALLOWED = {
    "brain": {"errors", "seeding", "plugins", "yaml_files"},
    "bridge": {"errors", "seeding"},
    "body": {"errors", "seeding", "plugins", "yaml_files"},
    "recording": {"errors", "seeding"},
    "tasks": {"errors", "seeding", "plugins", "yaml_files", "brain", "bridge", "body", "recording"},
}
# The kernel process is where a brain meets the bridge.
MEETING_POINTS = {
    "brain/kernel.py",
    "brain/episodes.py",
    "brain/forking.py",
    "brain/snapshots.py",
    "brain/model.py",
    "brain/quiet.py",
    "brain/config.py",
    "brain/resets.py",
    "brain/together.py",
}
SIMULATORS = {"nest": "brain", "mujoco": "body"}
GLOBAL_RANDOM = {"seed", "random", "rand", "randn", "randint", "normal", "uniform", "choice", "shuffle"}


def imported(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def identity(module: Path) -> str:
    return str(module.relative_to(PACKAGE))


@pytest.mark.parametrize("module", MODULES, ids=identity)
def test_no_import_goes_upward_or_sideways(module: Path) -> None:
    layer = module.relative_to(PACKAGE).parts[0]
    if layer not in ALLOWED:
        return
    allowed = ALLOWED[layer] | {layer}
    if identity(module) in MEETING_POINTS:
        allowed = allowed | {"bridge"}
    inside = {name.split(".")[1] for name in imported(module) if name.startswith("robobrain.")}
    assert inside <= allowed


@pytest.mark.parametrize("module", MODULES, ids=identity)
def test_each_simulator_is_known_to_one_layer(module: Path) -> None:
    layer = module.relative_to(PACKAGE).parts[0]
    for name in imported(module):
        top = name.split(".")[0]
        if top in SIMULATORS and layer != "tasks":
            assert layer == SIMULATORS[top]


@pytest.mark.parametrize("module", MODULES, ids=identity)
def test_no_global_random_numbers(module: Path) -> None:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    assert "random" not in set(imported(module))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and node.attr in GLOBAL_RANDOM
            and isinstance(node.value, ast.Attribute)
            and node.value.attr == "random"
        ):
            raise AssertionError(
                f"line {node.lineno}: use robobrain.seeding instead of np.random.{node.attr}"
            )
