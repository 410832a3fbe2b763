from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from robobrain.errors import ConfigurationError, TableError
from robobrain.tasks.joystick.branches import load_condition
from robobrain.tasks.joystick.files import OWN_CHOICE, package_file, read_yaml
from robobrain.tasks.joystick.protocol import load_protocol
from robobrain.tasks.joystick.specification import PRESETS, load_task

FILES = (*(f"{preset}.yaml" for preset in PRESETS), "stimulation.yaml")


def plain_quick() -> dict[str, Any]:
    return read_yaml(package_file("quick.yaml"))[0]


def written(tmp_path: Path, content: dict[str, Any]) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def numbers(node: Any) -> Iterator[float]:
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from numbers(item)
    elif isinstance(node, int | float):
        yield node


@pytest.mark.parametrize("file", FILES)
def test_every_number_of_the_package_has_a_source_or_a_reason(file: str) -> None:
    values, provenance = read_yaml(package_file(file))
    assert len(provenance) == len(list(numbers(values))) > 0
    for entry, origin in provenance.items():
        assert origin != OWN_CHOICE, entry
        assert len(origin.note) > 5, entry


def test_mathis2017_has_the_block_plan_and_zones_of_the_study() -> None:
    task = load_task("mathis2017")
    assert task.trials == 250
    assert [task.block_of(trial).name for trial in (1, 75, 76, 175, 176, 250)] == [
        "baseline",
        "baseline",
        "perturbation",
        "perturbation",
        "washout",
        "washout",
    ]
    assert task.block_of(99).catch_fraction == 0.0
    assert task.block_of(100).catch_fraction == 0.1
    assert (task.home.dwell_ms, task.pull.start_mm, task.target.near_mm) == (500.0, 4.0, 7.0)
    assert (task.target.half_width_mm, task.target.dwell_ms, task.force_field.longest_ms) == (
        1.0,
        50.0,
        400.0,
    )
    assert task.provenance["home.dwell_ms"].basis == "verified"
    assert task.provenance["blocks.1.lateral_force_mN"].basis == "chosen"


def test_quick_is_the_default_and_wider() -> None:
    quick = load_task()
    assert quick.name == "quick"
    assert quick.target.half_width_mm == 2.0
    assert quick.block_of(10**6) == quick.blocks[-1]


def test_an_own_file_may_write_bare_numbers(tmp_path: Path) -> None:
    content = plain_quick()
    content["home"]["radius_mm"] = 1.25
    task = load_task(written(tmp_path, content))
    assert task.home.radius_mm == 1.25
    assert task.provenance["home.radius_mm"] == OWN_CHOICE


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("home.radius_mm", -1.0, "own.yaml, row home: .*radius_mm must be above 0"),
        ("home.radius_mm", "near", "own.yaml, row home.radius_mm: .*number"),
        ("home.radius_mm", float("nan"), "own.yaml, row home.radius_mm: .*finite"),
        ("home.radius", 1.0, "own.yaml, row home.radius: .*unknown"),
        ("home.radius_mm", None, "own.yaml, row home.radius_mm: .*number"),
        ("target.far_mm", 6.0, "own.yaml, row target: .*far_mm must lie beyond near_mm"),
        ("force_field.onset_mm", 1.0, "onset_mm must not lie before pull.start_mm"),
        (
            "home.radius_mm",
            {"value": 1.0, "basis": "guessed", "note": "x"},
            "row home.radius_mm: a sourced number",
        ),
        ("blocks", [], "at least one block"),
    ],
)
def test_a_wrong_entry_is_named_with_its_file_and_fix(
    tmp_path: Path, entry: str, value: object, message: str
) -> None:
    content = plain_quick()
    *parents, name = entry.split(".")
    node = content
    for parent in parents:
        node = node[parent]
    node[name] = value
    with pytest.raises(TableError, match=f"(?s){message}.*Fix: "):
        load_task(written(tmp_path, content))


def test_a_missing_entry_is_named(tmp_path: Path) -> None:
    content = plain_quick()
    del content["target"]["dwell_ms"]
    with pytest.raises(TableError, match=r"row target.dwell_ms: .*Fix: add the entry"):
        load_task(written(tmp_path, content))


def test_unknown_tasks_and_unreadable_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"Unknown task 'centre': give a preset .quick, mathis2017."):
        load_task("centre")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(ConfigurationError, match=r"The task '.*folder.yaml' is a directory"):
        load_task(tmp_path / "folder.yaml")
    with pytest.raises(ConfigurationError, match=r"folder.yaml can't be read: Is a directory.*Fix: "):
        load_condition(tmp_path / "folder.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("home: [1")
    with pytest.raises(ConfigurationError, match=r"broken.yaml, row 1: not readable as YAML.*Fix: "):
        load_task(broken)
    broken.write_text("- 1")
    with pytest.raises(ConfigurationError, match=r"broken.yaml, row 1: not a mapping.*Fix: "):
        load_task(broken)
    with pytest.raises(ConfigurationError, match="numbered from 1"):
        load_task().block_of(0)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: &a [*a]", "row 1: .*recursive"),
        ("[" * 5000, "row 1: .*nested too deeply"),
        ("seed: 2001-99-99", "row 1: .*month"),
        ("seed: !!int ''", "row 1: "),
        (f"seed: 1{':00' * 200}.5", "row 1: .*a number of 603 characters"),
        ("seed: 1\nseed: 2", "row 1: .*given twice: seed"),
    ],
)
def test_hostile_yaml_of_a_task_or_condition_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "hostile.yaml"
    path.write_text(text)
    for load in (load_task, load_condition):
        with pytest.raises(TableError, match=f"(?s)hostile.yaml, {problem}.*Fix: "):
            load(path)


def test_protocols_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'push'; stimulation.yaml has pull, none"):
        load_protocol("push")
    own = {
        "name": "own",
        "delay_ms": 0,
        "ramp_ms": 0,
        "duration_ms": 10,
        "jitter": 0,
        "amplitudes": {"Biceps": 1},
    }
    with pytest.raises(TableError, match=r"unknown muscles .'Biceps'"):
        load_protocol("own", written(tmp_path, {"protocols": [own]}))
    own["amplitudes"] = {"Radius1": 1.5}
    with pytest.raises(TableError, match="amplitudes must lie in 0 to 1"):
        load_protocol("own", written(tmp_path, {"protocols": [own]}))
