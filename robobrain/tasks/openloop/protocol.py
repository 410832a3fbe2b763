"""Protocols of open-loop experiments: what they are made of, and their YAML files."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robobrain.brain.config import checked_exchange_ms
from robobrain.brain.declared import Declared
from robobrain.brain.devices import NO_DEVICES, Devices, validated
from robobrain.brain.equation import Equation
from robobrain.brain.interfaces import parse_devices
from robobrain.bridge.messages import Description
from robobrain.errors import ConfigurationError, TableError
from robobrain.yaml_files import read_yaml

Floats = NDArray[np.float64]
Table = tuple[Floats, list[str], Floats]
"""Times (ms), names of the columns (``port/channel``), and values [time, column]."""

PROTOCOLS = ("rest_theta", "tuning_m1", "passive_s1")
"""Protocols that come with the package."""
LONGEST_MS = 86_400_000.0
"""Longest episode, a day (*assumed*: 24 times the longest that was tried, an hour at ``tiny``)."""
LARGEST_SEED = 2**64 - 1
"""Largest seed that a brain's messages hold."""
LARGEST_INPUT = 1e30
"""Largest size of what is told to a brain: sums of such numbers are still finite on their way (float32)."""
BLOCK = 1000
"""Exchanges whose inputs are worked out at once, so that memory does not grow with the episode."""


@dataclass(frozen=True, kw_only=True)
class Track(Declared):
    """An equation that plays on channels of one input port for a while; elsewhere the port gets 0.

    Attributes:
        port: Name of the input port.
        equation: Text for `robobrain.brain.equation.Equation`; ``t`` in seconds of the episode. Its value at
            the beginning of an exchange holds for the exchange.
        channels: Only these channels; None for all.
        parameters: Numbers, or texts with units, by name.
        start_ms: Time at which it begins.
        stop_ms: Time at which it ends; None for the episode's end.
        label: Name in figures and events; the port and its channels if empty.
    """

    port: str
    equation: str
    channels: tuple[str, ...] | None = None
    parameters: Mapping[str, float | str] = field(default_factory=dict)
    start_ms: float = 0.0
    stop_ms: float | None = None
    label: str = ""

    def __post_init__(self) -> None:
        stop_ms = math.inf if self.stop_ms is None else self.stop_ms
        if not 0.0 <= self.start_ms < stop_ms:
            raise ConfigurationError(f"track on {self.port}: 0 <= start_ms < stop_ms is needed")
        Equation(self.equation, self.parameters)

    @property
    def name(self) -> str:
        """What it is called."""
        return self.label or "/".join([self.port, *(self.channels or ())])


@dataclass(frozen=True, kw_only=True)
class Playback(Declared):
    """A file of input values: a table (CSV) with ``t_ms`` and columns ``port/channel``.

    The last row at or before the beginning of an exchange holds for the exchange.

    Attributes:
        file: Path, relative to the protocol's file.
        start_ms: Times of the episode at which it begins to play; between, its channels get 0.
        label: Name in figures and events; the file's name if empty.
    """

    file: str
    start_ms: tuple[float, ...] = (0.0,)
    label: str = ""

    def __post_init__(self) -> None:
        if not self.start_ms or any(not 0.0 <= start < math.inf for start in self.start_ms):
            raise ConfigurationError(f"playback of {self.file}: start_ms must be times from 0 on")

    @property
    def name(self) -> str:
        """What it is called."""
        return self.label or Path(self.file).stem


@dataclass(frozen=True, kw_only=True)
class OpenLoopProtocol(Declared):
    """An open-loop experiment.

    Attributes:
        description: What it shows, for people.
        duration_ms: Length of each episode, at most a day; a multiple of ``exchange_ms``.
        brain: Size of the brain.
        seeds: Seed of each episode.
        exchange_ms: Period of the exchange, a whole number of ms from 1 to 1,000.
        record_spikes: Record all spikes (True), those of so many neurons per population, or none (False).
        tracks: What plays on the input ports.
        playbacks: Files that play on the input ports.
        devices: Sources, monitors and silenced neurons beside the brain's wiring.
        folder: Where files are looked for.
    """

    description: str
    duration_ms: float
    brain: str = "small"
    seeds: tuple[int, ...] = (1,)
    exchange_ms: float = 10.0
    record_spikes: bool | int = True
    tracks: tuple[Track, ...] = ()
    playbacks: tuple[Playback, ...] = ()
    devices: Devices = NO_DEVICES
    folder: Path = Path()

    def __post_init__(self) -> None:
        exchanges = self.duration_ms / checked_exchange_ms(self.exchange_ms)
        if not self.duration_ms <= LONGEST_MS:
            raise ConfigurationError(
                f"duration_ms = {self.duration_ms:g} must be at most {LONGEST_MS:.0f}, a day; "
                "give more seeds for more episodes"
            )
        if not (exchanges >= 1 and math.isclose(exchanges, round(exchanges), rel_tol=1e-9)):
            raise ConfigurationError(
                f"duration_ms = {self.duration_ms:g} must be a multiple of exchange_ms = {self.exchange_ms:g}"
            )
        if not self.seeds or any(not 0 <= seed <= LARGEST_SEED for seed in self.seeds):
            raise ConfigurationError(f"seeds must be one or more whole numbers from 0 to {LARGEST_SEED}")
        if self.record_spikes < 0:
            raise ConfigurationError(
                f"record_spikes = {self.record_spikes} must be true, false or a number of neurons from 0 on"
            )

    @cached_property
    def exchanges(self) -> int:
        """Number of exchanges of an episode."""
        return round(self.duration_ms / self.exchange_ms)

    def inputs(self, description: Description) -> Iterator[Floats]:
        """Yield what the brain is told in an episode, some exchanges at a time, ``[exchanges, input_size]``.

        Raises:
            ConfigurationError: A port or channel does not exist, a file can't be read, or a value is not
                finite; names it.
        """
        for first in range(0, self.exchanges, BLOCK):
            numbers = np.arange(first, min(first + BLOCK, self.exchanges), dtype=np.float64)
            yield self._inputs(description, self.exchange_ms * numbers)

    def _inputs(self, description: Description, t_ms: Floats) -> Floats:
        told = np.zeros((len(t_ms), description.input_size))
        for track in self.tracks:
            stop_ms = math.inf if track.stop_ms is None else track.stop_ms
            now = (t_ms >= track.start_ms - 1e-9) & (t_ms < stop_ms - 1e-9)
            values = Equation(track.equation, track.parameters)(t_ms[now] / 1e3)
            if not (np.abs(values) <= LARGEST_INPUT).all():
                at_ms = t_ms[now][~(np.abs(values) <= LARGEST_INPUT)][0]
                raise ConfigurationError(
                    f"track {track.name}: {track.equation!r} has no value that a brain can be told at "
                    f"{at_ms:g} ms; keep it finite and within {LARGEST_INPUT:g}"
                )
            for column in _columns(description, track.port, track.channels):
                told[now, column] += values
        for playback, table in zip(self.playbacks, self.read_playbacks(), strict=True):
            _play(playback, table, description, t_ms, told)
        return told

    def events(self) -> list[tuple[float, float, str]]:
        """Return begin, end (ms) and name of what plays, in order of time."""
        played = [
            (track.start_ms, self.duration_ms if track.stop_ms is None else track.stop_ms, track.name)
            for track in self.tracks
        ]
        for playback, (times, _, _) in zip(self.playbacks, self.read_playbacks(), strict=True):
            length_ms = times[-1]
            played += [(start, start + length_ms, playback.name) for start in playback.start_ms]
        return sorted(
            (begin, min(end, self.duration_ms), name)
            for begin, end, name in played
            if begin < self.duration_ms
        )

    def read_playbacks(self) -> list[Table]:
        """Return the tables of the playbacks, read from their files the first time.

        Raises:
            TableError: One can't be read; names file, line and fix.
        """
        return self._tables

    @cached_property
    def _tables(self) -> list[Table]:
        return [_read_table(self.folder / playback.file) for playback in self.playbacks]


def load_protocol(name: str | Path) -> OpenLoopProtocol:
    """Return the protocol of that name, or of that YAML file.

    Raises:
        ConfigurationError: There is none, or it can't be used; names file and entry.
    """
    packaged = Path(str(resources.files(__package__) / "data"))
    path = packaged / f"{name}.yaml" if str(name) in PROTOCOLS else Path(name)
    if path.is_dir():
        raise ConfigurationError(f"{name} is a directory: give the path of a protocol's YAML file in it")
    if not path.is_file():
        raise ConfigurationError(
            f"no protocol {str(name)!r}: give a YAML file, or one of {', '.join(PROTOCOLS)}"
        )
    document = read_yaml(path)
    if "folder" in document:
        raise TableError(path.name, "folder", "the folder is that of the file", "leave it out")
    sections = document.pop("devices", {})
    if not isinstance(sections, dict):
        raise TableError(path.name, "devices", "not a mapping of sections", "give e.g. fields: [...]")
    devices = parse_devices(path.name, sections)
    try:
        protocol: OpenLoopProtocol = validated(OpenLoopProtocol, document)
    except ConfigurationError as error:
        raise TableError(path.name, "protocol", str(error), "correct the named fields") from error
    return replace(protocol, devices=devices, folder=path.parent)


def _play(playback: Playback, table: Table, description: Description, t_ms: Floats, told: Floats) -> None:
    times, names, values = table
    columns = [_columns(description, *_split(playback.file, name))[0] for name in names]
    for start_ms in playback.start_ms:
        row = np.searchsorted(times, t_ms - start_ms + 1e-9, side="right") - 1
        now = (row >= 0) & (t_ms - start_ms <= times[-1] + 1e-9)
        told[np.ix_(now, columns)] += values[row[now]]


def _read_table(path: Path) -> Table:
    header, rows = _read_rows(path)
    if header[:1] != ["t_ms"] or not rows or len(set(header)) != len(header):
        raise TableError(
            path.name, 1, "no table by t_ms with each column once", "give t_ms, then port/channel, and rows"
        )
    table = np.array([values for _, values in rows])
    wrong = np.argwhere(~(np.abs(table) <= LARGEST_INPUT))
    if wrong.size:
        row, column = wrong[0]
        problem = f"{header[column]} has no value that a brain can be told, {table[row, column]:g}"
        raise TableError(path.name, rows[row][0], problem, f"keep it finite and within {LARGEST_INPUT:g}")
    begun, rising = table[0, 0] == 0.0, np.diff(table[:, 0]) > 0.0
    if not (begun and rising.all()):
        line, _ = rows[0 if not begun else int(np.flatnonzero(~rising)[0]) + 1]
        raise TableError(path.name, line, "t_ms does not rise from 0", "give t_ms rising from 0")
    return table[:, 0], header[1:], table[:, 1:]


def _read_rows(path: Path) -> tuple[list[str], list[tuple[int, list[float]]]]:
    """Return the header, and each row with its line."""
    if not path.is_file():
        raise TableError(path.name, 1, "there is no such file", "give its path from the protocol")
    lines = _read_lines(path)
    _, header = next(lines, (1, []))
    rows: list[tuple[int, list[float]]] = []
    for line, cells in lines:
        if len(cells) != len(header):
            problem = f"{len(cells)} values for {len(header)} columns"
            raise TableError(path.name, line, problem, "give one number for each column")
        rows.append((line, [_number(path.name, line, cell) for cell in cells]))
    return header, rows


def _read_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each line that is not empty, with its number."""
    reader = csv.reader(io.StringIO(_read_text(path), newline=""))
    try:
        for cells in reader:
            if "".join(cells).strip():
                yield reader.line_num, cells
    except csv.Error as error:
        raise TableError(path.name, reader.line_num, f"not readable as CSV: {error}", "correct it") from error


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise TableError(path.name, 1, f"can't be read ({error.strerror})", "give a table (CSV)") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise TableError(path.name, line, "not text in UTF-8", "save the table in UTF-8") from error


def _number(file: str, line: int, cell: str) -> float:
    try:
        return float(cell)
    except ValueError as error:
        raise TableError(file, line, f"{cell[:40]!r} is no number", "give a number") from error


def _split(file: str, name: str) -> tuple[str, tuple[str, ...]]:
    port, slash, channel = name.partition("/")
    if not slash:
        raise TableError(file, "1", f"column {name!r} names no channel", "name it port/channel")
    return port, (channel,)


def _columns(description: Description, port: str, channels: Sequence[str] | None) -> list[int]:
    """Return where channels of an input port lie in the input vector."""
    where = description.input_slice(port)
    labels = next(one.channels for one in description.inputs if one.name == port)
    if channels is None:
        return list(range(where.start, where.stop))
    for channel in channels:
        if channel not in labels:
            raise ConfigurationError(f"input {port} has no channel {channel!r}; it has {', '.join(labels)}")
    return [where.start + labels.index(channel) for channel in channels]
