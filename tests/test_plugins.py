"""Bodies, tasks and brains of another distribution, found by its entry points."""

from __future__ import annotations

import subprocess
import sys
from importlib import resources
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import robobrain  # noqa: F401 (registers the environments)
from robobrain import plugins
from robobrain.brain.choice import choose
from robobrain.errors import ConfigurationError
from robobrain.tasks.joystick import load_task

MODULE = """
from dataclasses import replace
from pathlib import Path

from robobrain.body import Forelimb, ForelimbSpec

TABLES = Path(__file__).parent / "tables"


class HeavyLimb(Forelimb):
    def __init__(self) -> None:
        spec = ForelimbSpec.load()
        segments = dict(spec.segments)
        humerus = segments["humerus"]
        heavier = replace(humerus.capsule, density_kg_m3=20 * humerus.capsule.density_kg_m3)
        segments["humerus"] = replace(humerus, capsule=heavier)
        super().__init__(replace(spec, segments=segments))


def no_limb() -> str:
    return "nothing"


patient = Path(__file__).parent / "patient.yaml"
"""
ENTRY_POINTS = """
[robobrain.bodies]
heavy_limb = thirdparty:HeavyLimb
no_limb = thirdparty:no_limb
broken = thirdparty.missing:Limb
[robobrain.tasks]
patient = thirdparty:patient
[robobrain.brains]
mine = thirdparty:TABLES
"""


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a distribution that offers some of each kind, as pip would lay it out."""
    package, info = tmp_path / "thirdparty", tmp_path / "thirdparty-1.0.dist-info"
    package.mkdir()
    info.mkdir()
    (package / "__init__.py").write_text(MODULE, encoding="utf-8")
    quick = resources.files("robobrain.tasks.joystick") / "data" / "quick.yaml"
    text = quick.read_text(encoding="utf-8").replace("name: quick", "name: patient", 1)
    (package / "patient.yaml").write_text(text, encoding="utf-8")
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: thirdparty\nVersion: 1.0\n", encoding="utf-8"
    )
    (info / "entry_points.txt").write_text(ENTRY_POINTS, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield package
    sys.modules.pop("thirdparty", None)


@pytest.mark.usefixtures("distribution")
def test_a_body_of_another_distribution_moves_in_the_environments() -> None:
    assert "thirdparty" not in sys.modules
    masses, pulls = {}, {}
    for name in (None, "heavy_limb"):
        env = gymnasium.make("robobrain/JoystickMuscle-v0", body=name)
        env.reset(seed=1)
        for _ in range(3):
            env.step(np.array([0.6, 0, 0.4, 0, 0, 1, 0.55, 0], np.float32))
        masses[name] = env.unwrapped.model.body("limb/humerus").mass[0]
        pulls[name] = env.unwrapped.body.joystick_mm()[1]
        env.close()
    assert masses["heavy_limb"] == pytest.approx(20 * masses[None])
    assert 0.0 < pulls["heavy_limb"] < pulls[None] - 0.1


@pytest.mark.usefixtures("distribution")
def test_a_task_of_another_distribution_is_loaded_by_name() -> None:
    assert load_task("patient").name == "patient"
    assert gymnasium.make("robobrain/JoystickTorque-v0", task="patient").unwrapped.task.spec.name == "patient"


def test_a_brain_of_another_distribution_is_a_folder_of_tables(distribution: Path) -> None:
    own = choose("tiny")
    command = [sys.executable, "-m", "robobrain", "brain", "new", str(distribution / "tables")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert choose("mine:tiny").spec().populations == own.spec().populations


@pytest.mark.usefixtures("distribution")
@pytest.mark.parametrize(
    ("name", "words"),
    [("weightless", "heavy_limb"), ("no_limb", "makes a str"), ("broken", "can't be imported")],
)
def test_bodies_that_cannot_be_had_are_named(name: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        gymnasium.make("robobrain/JoystickMuscle-v0", body=name)


def test_without_other_distributions_nothing_is_offered() -> None:
    assert not any(plugins.offered(kind) for kind in ("bodies", "tasks", "brains"))
    with pytest.raises(ConfigurationError, match="offered are: none"):
        plugins.load("bodies", "heavy_limb")
    with pytest.raises(ConfigurationError, match="Unknown task"):
        load_task("patient")
