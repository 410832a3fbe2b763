"""The body's data files: complete, sourced, and refused with a fix when wrong."""

from __future__ import annotations

import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from robobrain.body.specification import ForelimbSpec, SpinalSpec
from robobrain.errors import ConfigurationError, TableError

FORELIMB = (resources.files("robobrain.body") / "data" / "forelimb.yaml").read_text(encoding="utf-8")


def test_the_files_of_the_package_are_valid_and_sourced() -> None:
    for spec in (ForelimbSpec.load(), SpinalSpec.load()):
        assert spec.provenance
        assert all(
            line.split(":")[0] in ("read", "derived", "measured", "assumed")
            for line in spec.provenance.values()
        )


@pytest.mark.parametrize(
    ("old", "new", "entry", "problem"),
    [
        ("max_force_N: 0.8", "max_force_N: -0.8", "muscles.Foot1.max_force_N", "greater than 0"),
        ("max_force_N: 0.8", "max_force_N: .nan", "muscles.Foot1.max_force_N", "finite"),
        ("timestep_s: 0.0005\n", "\n", "physics", "provenance of no number"),
        ("  elbow:", "  knee:", "whole file", "elbow"),
        ("parent: humerus", "parent: hummerus", "whole file", "hummerus"),
        ("range_rad: [-0.8, 0.8]", "range_rad: [0.8, -0.8]", "joints.wrist", "rise"),
        ("settle_s: 1.0", "settle_s: 1.0\n  colour: 3", "physics.colour", "without provenance"),
        ("name: mouse_forelimb", "name: mouse_forelimb\nowner: me", "owner", "not permitted|[Uu]nexpected"),
        ('"read: robobrain_daint, muscles.osim"', '"trust me"', "muscles", "trust me"),
        (
            "action: elbow flexor",
            "activity: elbow flexor",
            "muscles.Radius1",
            "required|not permitted|[Uu]nexpected",
        ),
    ],
)
def test_a_wrong_file_is_refused_by_entry(
    tmp_path: Path, old: str, new: str, entry: str, problem: str
) -> None:
    assert old in FORELIMB
    file = tmp_path / "limb.yaml"
    file.write_text(FORELIMB.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(TableError, match=problem) as caught:
        ForelimbSpec.load(file)
    assert caught.value.file == "limb.yaml"
    assert str(caught.value.row).startswith(entry)
    assert "Fix:" in str(caught.value)


@pytest.mark.parametrize("text", ["- 1\n", "a: [\n"])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "limb.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"limb\.yaml"):
        ForelimbSpec.load(file)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere.yaml can't be read"):
        SpinalSpec.load("somewhere/nowhere.yaml")


def test_where_a_bare_name_is_no_file_those_of_the_package_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = r"one of afferents.yaml, fatigue.yaml, forelimb.yaml, spinal.yaml, which come"
    for name in ("forelimb_typo.yaml", ""):
        with pytest.raises(ConfigurationError, match=rf"no data file '{name}'\. Fix: .*{names}"):
            ForelimbSpec.load(name)
    (tmp_path / "forelimb_typo.yaml").write_text(FORELIMB, encoding="utf-8")
    assert ForelimbSpec.load("forelimb_typo.yaml") == ForelimbSpec.load()


def test_importing_the_package_loads_no_mujoco() -> None:
    code = "import sys, robobrain, robobrain.body; sys.exit('mujoco' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
