"""Broken tables of every kind: whatever hypothesis breaks is refused with file, row and fix."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from robobrain.brain.scaling import scale
from robobrain.brain.tables import default_folder, load_tables
from robobrain.cli.app import app
from robobrain.errors import TableError

CSV_TABLES = (
    "neurons", "populations", "projections", "gains", "drives", "resting_targets", "bias_tiny"
)  # fmt: skip
EXTENSIONS = tuple(f"{stem}.extend" for stem in CSV_TABLES if not stem.startswith("bias"))
POSITIVE = {
    "neurons": ("C_m_pF", "g_L_nS", "tau_m_ms", "tau_syn_ex_ms", "tau_syn_in_ms", "tau_nmda_ms"),
    "populations": ("neurons_full",),
    "projections": ("delay_ms",),
    "gains": ("gain",),
    "drives": ("rate_hz", "weight"),
    "resting_targets": ("high_hz", "target_hz"),
    "bias_tiny": ("target_hz",),
}
NUMBERS = POSITIVE | {
    "neurons": (*POSITIVE["neurons"], "E_L_mV", "V_th_mV", "V_reset_mV", "t_ref_ms", "E_ex_mV", "E_in_mV"),
    "projections": ("indegree", "weight", "weight_log_sd", "sigma_mm", "delay_ms", "delay_jitter_ms"),
    "resting_targets": ("low_hz", "high_hz", "target_hz", "literature_low_hz", "literature_high_hz"),
    "bias_tiny": ("bias_pA", "rate_hz", "target_hz"),
}
NAMES = {
    "populations": ("neuron",),
    "projections": ("pre", "post"),
    "gains": ("pre_region", "post_region", "pre_layer", "post_layer"),
    "drives": ("population",),
    "resting_targets": ("population",),
    "bias_tiny": ("population",),
}
NOT_NUMBERS = ("nan", "-nan", "inf", "-inf", "1e999", "1,5", "0x10", "many", "1.0.0", "--1", "½ or so")
STRANGERS = ("nobody", "M1_L9_XX", "m1", "M1_L23_CC ", "ctx pyramidal", "*:*", "💀")
HEADER = 1


def stem_of(file: str) -> str:
    return file.removesuffix(".extend")


@cache
def text_of(stem: str) -> str:
    return (default_folder() / f"{stem}.csv").read_text(encoding="utf-8")


def rows_of(stem: str) -> tuple[list[str], list[list[str]]]:
    header, *rows = csv.reader(io.StringIO(text_of(stem)))
    return header, rows


def written(header: list[str], rows: list[list[str]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([header, *rows])
    return stream.getvalue()


def use(folder: Path) -> None:
    """Read, validate and scale the tables of a folder; nothing in the result may be infinite or NaN."""
    tables = load_tables(folder)
    spec = scale(tables, "tiny" if "tiny" in tables.sizes.sizes else "0.01")
    for population in spec.populations:
        values = (v for v in population.params.values() if not isinstance(v, list))
        assert all(map(math.isfinite, values)), population
    assert all(math.isfinite(p.weight) and math.isfinite(p.indegree) for p in spec.projections)


def refused(folder: Path, file: str) -> TableError:
    with pytest.raises(TableError) as caught:
        use(folder)
    assert caught.value.file == file, caught.value
    assert caught.value.problem
    assert caught.value.fix
    assert "\n" not in caught.value.fix
    return caught.value


@st.composite
def broken_rows(draw: st.DrawFn) -> tuple[str, str, int]:
    """Draw a table with one fault in one row: its file, its text, and the row as an editor counts."""
    file = draw(st.sampled_from(CSV_TABLES + EXTENSIONS))
    stem = stem_of(file)
    header, rows = rows_of(stem)
    place = draw(st.integers(0, len(rows) - 1))
    cell = {name: number for number, name in enumerate(header)}

    def filled(columns: tuple[str, ...]) -> list[str]:
        return [name for name in columns if rows[place][cell[name]] not in ("", "0", "0.0")]

    faults = ["short", "long", "twice"]
    faults += ["number"] if filled(NUMBERS[stem]) else []
    faults += ["negative"] if filled(POSITIVE[stem]) else []
    faults += ["stranger"] if stem in NAMES else []
    faults += ["unexplained"] if "provenance" in header else []
    faults += ["sign"] if stem == "projections" else []
    fault = draw(st.sampled_from(faults))
    if fault == "short":
        rows[place] = rows[place][: draw(st.integers(1, len(header) - 1))]
    elif fault == "long":
        rows[place] = [*rows[place], "1"]
    elif fault == "twice":
        rows.append(rows[place])
        place = len(rows) - 1
    elif fault == "number":
        column = draw(st.sampled_from(filled(NUMBERS[stem])))
        rows[place][cell[column]] = draw(st.sampled_from(NOT_NUMBERS))
    elif fault == "negative":
        column = draw(st.sampled_from(filled(POSITIVE[stem])))
        rows[place][cell[column]] = draw(st.sampled_from(["0", "-1", f"-{rows[place][cell[column]]}"]))
    elif fault == "stranger":
        column = draw(st.sampled_from(NAMES[stem]))
        rows[place][cell[column]] = draw(st.sampled_from(STRANGERS))
    elif fault == "unexplained":
        rows[place][cell["provenance"]] = draw(st.sampled_from(["", "guessed", "Source"]))
    else:
        weight = rows[place][cell["weight"]]
        rows[place][cell["weight"]] = weight.removeprefix("-") if weight.startswith("-") else f"-{weight}"
    return file, written(header, rows), place + 2


@settings(max_examples=120, deadline=None)
@given(broken=broken_rows())
def test_a_broken_row_is_refused_with_its_number(
    tmp_path_factory: pytest.TempPathFactory, broken: tuple[str, str, int]
) -> None:
    file, text, row = broken
    folder = tmp_path_factory.mktemp("rows")
    (folder / f"{file}.csv").write_text(text, encoding="utf-8")
    complete(folder)
    assert refused(folder, f"{file}.csv").row == row


def complete(folder: Path) -> None:
    """Make a folder one of tables, also where only a table of bias currents lies in it."""
    if not (folder / "sizes.yaml").exists():
        (folder / "sizes.yaml").write_text(sizes_text(), encoding="utf-8")


@cache
def sizes_text() -> str:
    return (default_folder() / "sizes.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("file", CSV_TABLES + EXTENSIONS)
def test_a_broken_file_is_refused(tmp_path: Path, file: str) -> None:
    stem = stem_of(file)
    header, rows = rows_of(stem)
    needed = [name for name in header if name not in ("source", "note")]
    complete(tmp_path)

    def refuse(content: bytes) -> int | str:
        (tmp_path / f"{file}.csv").write_bytes(content)
        return refused(tmp_path, f"{file}.csv").row

    for column in needed:
        place = header.index(column)
        fewer = [[v for n, v in enumerate(row) if n != place] for row in (header, *rows)]
        assert refuse(written(fewer[0], fewer[1:]).encode()) == HEADER
    assert refuse(written([*header, "colour"], [[*row, "red"] for row in rows]).encode()) == HEADER
    assert refuse(written([*header, needed[-1]], [[*row, "1"] for row in rows]).encode()) == HEADER
    assert refuse(b"") == HEADER
    assert refuse(text_of(stem).encode("utf-16")) == HEADER
    lines = text_of(stem).encode().splitlines(keepends=True)
    assert refuse(b"".join([*lines[:2], b"\xff" + lines[2], *lines[3:]])) == 3
    assert refuse(b"".join([*lines[:2], b'"' + lines[2], *lines[3:]])) >= 3
    (tmp_path / f"{file}.csv").unlink()


@pytest.mark.parametrize("stem", ["neurons", "populations", "projections", "resting_targets"])
def test_a_table_without_rows_is_refused(tmp_path: Path, stem: str) -> None:
    (tmp_path / f"{stem}.csv").write_text(written(rows_of(stem)[0], []), encoding="utf-8")
    with pytest.raises(TableError, match="has no r"):
        use(tmp_path)


@settings(max_examples=80, deadline=None)
@given(
    file=st.sampled_from(CSV_TABLES + EXTENSIONS + ("sizes",)),
    start=st.integers(0, 4_000),
    length=st.integers(0, 400),
    noise=st.one_of(st.binary(max_size=12), st.text(max_size=8).map(lambda text: text.encode())),
)
@example(file="sizes", start=0, length=10_000, noise=b"sizes: 2001-99-99")
@example(file="sizes", start=0, length=10_000, noise=b"!!timestamp soon")
@example(file="sizes", start=0, length=10_000, noise=b"!!bool maybe")
@example(file="sizes", start=0, length=10_000, noise=b"[" * 5_000)
@example(file="gains", start=0, length=0, noise=b"\xef\xbb\xbf")  # what Excel writes before UTF-8
def test_no_damage_ends_in_anything_but_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, file: str, start: int, length: int, noise: bytes
) -> None:
    folder = tmp_path_factory.mktemp("damage")
    name = "sizes.yaml" if file == "sizes" else f"{file}.csv"
    whole = (sizes_text() if file == "sizes" else text_of(stem_of(file))).encode()
    start %= len(whole)
    complete(folder)
    (folder / name).write_bytes(whole[:start] + noise + whole[start + length :])
    with suppress(TableError):  # anything else fails the test
        use(folder)


def entries(document: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every entry of a document of mappings."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield (*path, key)
            yield from entries(value, (*path, key))


SIZE_ENTRIES = [path for path in entries(yaml.safe_load(sizes_text())) if path[-1] != "description"]


@settings(max_examples=80, deadline=None)
@given(
    path=st.sampled_from(SIZE_ENTRIES),
    value=st.sampled_from([math.nan, math.inf, -1, -0.5, "many", None, [], [1], {}, "gone", "renamed"]),
)
def test_a_broken_entry_of_the_sizes_is_named(
    tmp_path_factory: pytest.TempPathFactory, path: tuple[str, ...], value: Any
) -> None:
    folder = tmp_path_factory.mktemp("sizes")
    document = yaml.safe_load(sizes_text())
    inside = document
    for key in path[:-1]:
        inside = inside[key]
    if value in ("gone", "renamed"):
        old = inside.pop(path[-1])
        if value == "renamed":
            inside[f"{path[-1]}_"] = old
        elif path[:-1] == ("sizes",):
            return  # a folder may have fewer sizes
        path = path[:-1] if value == "renamed" else path
        if path == ("sizes",):
            return  # and may call them otherwise
    else:
        inside[path[-1]] = value
    (folder / "sizes.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    row = str(refused(folder, "sizes.yaml").row)
    assert ".".join(path) in row or (not path and row), row


@settings(max_examples=30, deadline=None)
@given(line=st.integers(0, 300))
def test_an_entry_given_twice_is_refused(tmp_path_factory: pytest.TempPathFactory, line: int) -> None:
    folder = tmp_path_factory.mktemp("twice")
    lines = sizes_text().splitlines()
    values = [n for n, text in enumerate(lines) if ": " in text and not text.lstrip().startswith("#")]
    place = values[line % len(values)]
    lines.insert(place, lines[place])
    (folder / "sizes.yaml").write_text("\n".join(lines), encoding="utf-8")
    assert "given twice" in refused(folder, "sizes.yaml").problem


def test_the_command_says_it_in_one_line(tmp_path: Path) -> None:
    header, rows = rows_of("projections")
    rows[4][header.index("delay_ms")] = "-2"
    (tmp_path / "projections.csv").write_text(written(header, rows), encoding="utf-8")
    for command in (["check", str(tmp_path)], ["info", f"{tmp_path}:tiny"], ["rest", f"{tmp_path}:tiny"]):
        result = CliRunner().invoke(app, ["brain", *command])
        assert result.exit_code == 1
        assert "Traceback" not in result.output
        said = result.output + str(result.exception or "")
        assert "projections.csv, row 6: column 'delay_ms' is '-2'" in said
