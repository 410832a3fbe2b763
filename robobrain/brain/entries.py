"""Entries of the YAML files of sources and monitors, as people write them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from robobrain.brain.monitors import (
    CountDecoder,
    Decoder,
    DirectOutputMonitor,
    MeanRateDecoder,
    PopulationVectorDecoder,
    RateDecoder,
    SpikeTimesDecoder,
)
from robobrain.brain.selectors import Column, Selector, Tile
from robobrain.brain.sources import (
    CurrentEncoder,
    DirectInputSource,
    Encoder,
    Half,
    InputTarget,
    RateEncoder,
    SpikesEncoder,
    TuningEncoder,
)
from robobrain.errors import ConfigurationError

Text = Annotated[str, Field(min_length=1)]
Number = Annotated[float, Field(allow_inf_nan=False, strict=True)]
Count = Annotated[int, Field(ge=1, strict=True)]
Index = Annotated[int, Field(ge=0, strict=True)]

MOST_TARGETS = 10_000
"""Groups of neurons that one source may drive (*assumed*: what a brain on one machine could use)."""


class Entry(BaseModel):
    """Base of all entries: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Provenance(Entry):
    """Reference of what is known, and reason for what is not; at least one of them."""

    source: Text | None = None
    assumed: Text | None = None

    @model_validator(mode="after")
    def _some(self) -> Provenance:
        if self.source is None and self.assumed is None:
            raise ValueError("provenance needs source (a reference) or assumed (why)")
        return self

    def text(self) -> str:
        """Return both in one line."""
        return "; ".join(f"{key}: {value}" for key, value in self.model_dump(exclude_none=True).items())


class _Columns(Entry):
    """One column per channel, around its centre."""

    centres_mm: list[tuple[Number, Number]]
    fraction: Number
    min_cells: Count = 1


class _Tiles(Entry):
    """Channel k gets tile k."""

    nx: Count
    ny: Count


class _Place(Entry):
    """The neurons of each channel: of a population or region, whole or in part, or of one region each."""

    population: Text | None = None
    region: Text | None = None
    regions: list[Text] | None = None
    layer: Text | None = None
    fraction: Number | None = None
    columns: _Columns | None = None
    tiles: _Tiles | None = None
    cells: list[Index] | None = None
    neurons: list[Index] | None = None

    @model_validator(mode="after")
    def _one_place(self) -> _Place:
        if sum(given is not None for given in (self.population, self.region, self.regions)) != 1:
            raise ValueError("give exactly one of population, region and regions")
        parts = (self.fraction, self.columns, self.tiles, self.cells, self.neurons)
        if sum(given is not None for given in parts) > 1:
            raise ValueError("give at most one of fraction, columns, tiles, cells and neurons")
        return self

    def selectors(self, channels: int) -> list[Selector]:
        """Return the selector of each channel."""
        for what, given in (
            ("regions", len(self.regions) if self.regions is not None else None),
            ("centres_mm", len(self.columns.centres_mm) if self.columns else None),
            ("neurons", len(self.neurons) if self.neurons is not None else None),
            ("tiles", self.tiles.nx * self.tiles.ny if self.tiles else None),
        ):
            if given is not None and given != channels:
                raise ConfigurationError(f"{given} {what} for {channels} channels: give one per channel")
        return [self._selector(channel) for channel in range(channels)]

    def _selector(self, channel: int) -> Selector:
        column = tile = None
        if self.columns:
            x_mm, y_mm = self.columns.centres_mm[channel]
            column = Column(
                x_mm=x_mm, y_mm=y_mm, fraction=self.columns.fraction, min_cells=self.columns.min_cells
            )
        if self.tiles:
            tile = Tile(index=channel, nx=self.tiles.nx, ny=self.tiles.ny)
        cells = self.cells if self.neurons is None else [self.neurons[channel]]
        return Selector(
            population=self.population,
            region=self.regions[channel] if self.regions else self.region,
            layer=self.layer,
            fraction=self.fraction,
            column=column,
            tile=tile,
            cells=None if cells is None else tuple(cells),
        )


class _Tuned(Entry):
    """Equal groups along x, with preferred values from ``first`` to ``last``."""

    first: Number
    last: Number
    groups: Annotated[int, Field(ge=2, strict=True)]


class _Target(_Place):
    weight_nS: Number | None = None
    gain: Number = 1.0
    half: Half = Half.BOTH
    tuned: _Tuned | None = None

    @model_validator(mode="after")
    def _tuned_alone(self) -> _Target:
        if self.tuned is not None and (self.columns or self.tiles or self.cells or self.neurons):
            raise ValueError("tuned shares out the whole population; leave columns, tiles and cells out")
        return self

    def targets(self, channels: Sequence[str]) -> Iterator[InputTarget]:
        """Yield what each channel drives, group by group where they are tuned."""
        for channel, selector in zip(channels, self.selectors(len(channels)), strict=True):
            common: dict[str, Any] = {
                "channel": channel,
                "weight_nS": self.weight_nS,
                "gain": self.gain,
                "half": self.half,
            }
            if self.tuned is None:
                yield InputTarget(selector=selector, **common)
                continue
            values = np.linspace(self.tuned.first, self.tuned.last, self.tuned.groups)
            for index, value in enumerate(values.tolist()):
                tile = Tile(index=index, nx=self.tuned.groups, ny=1)
                yield InputTarget(selector=replace(selector, tile=tile), preferred=value, **common)


class _Rate(Entry):
    gain_hz_per_unit: Number
    max_hz: Number
    baseline_hz: Number = 0.0
    reference: Number = 0.0
    exponent: Number = 1.0
    dead_zone: Number = 0.0


class _Current(Entry):
    gain_pA_per_unit: Number
    max_pA: Number
    baseline_pA: Number = 0.0
    reference: Number = 0.0


class _Tuning(Entry):
    peak_hz: Number
    width: Number
    baseline_hz: Number = 0.0


class _Spikes(Entry):
    gain_per_unit: Number
    max_spikes: Count
    reference: Number = 0.0


class _Encoder(Entry):
    rate: _Rate | None = None
    current: _Current | None = None
    tuning: _Tuning | None = None
    spikes: _Spikes | None = None

    @model_validator(mode="after")
    def _one_encoder(self) -> _Encoder:
        if sum(given is not None for given in (self.rate, self.current, self.tuning, self.spikes)) != 1:
            raise ValueError("give exactly one of rate, current, tuning and spikes")
        return self

    def spec(self) -> Encoder:
        if self.rate is not None:
            return RateEncoder(**self.rate.model_dump())
        if self.current is not None:
            return CurrentEncoder(**self.current.model_dump())
        if self.tuning is not None:
            return TuningEncoder(**self.tuning.model_dump())
        assert self.spikes is not None
        return SpikesEncoder(**self.spikes.model_dump())


class _Port(Entry):
    name: Text
    unit: Text
    description: Text
    channels: list[Text]
    low: Number
    high: Number
    provenance: Provenance


class InputEntry(_Port):
    """A source of values from outside."""

    encoder: _Encoder
    targets: list[_Target]
    delay_ms: Number | None = None

    def source(self) -> DirectInputSource:
        """Return the declaration."""
        groups = sum(1 if target.tuned is None else target.tuned.groups for target in self.targets)
        if groups * len(self.channels) > MOST_TARGETS:
            raise ConfigurationError(
                f"{groups} groups for each of {len(self.channels)} channels: give at most {MOST_TARGETS:,} "
                "in all"
            )
        return DirectInputSource(
            name=self.name,
            unit=self.unit,
            channels=tuple(self.channels),
            low=self.low,
            high=self.high,
            encoder=self.encoder.spec(),
            targets=tuple(made for target in self.targets for made in target.targets(self.channels)),
            provenance=self.provenance.text(),
            delay_ms=self.delay_ms,
            description=self.description,
        )


class _RateFilter(Entry):
    tau_rise_ms: Number
    tau_decay_ms: Number


class _Directions(Entry):
    preferred_deg: list[Number]
    tau_ms: Number = 100.0


class _MeanRateFilter(Entry):
    tau_ms: Number


class _Decoder(Entry):
    count: bool = False
    rate: _RateFilter | None = None
    mean_rate: _MeanRateFilter | None = None
    population_vector: _Directions | None = None
    spike_times: bool = False

    @model_validator(mode="after")
    def _one_decoder(self) -> _Decoder:
        filters = (self.rate, self.mean_rate, self.population_vector)
        if sum((self.count, self.spike_times, *(given is not None for given in filters))) != 1:
            raise ValueError(
                "give exactly one of count: true, rate, mean_rate, population_vector and spike_times: true"
            )
        return self

    def spec(self) -> Decoder:
        if self.rate is not None:
            return RateDecoder(**self.rate.model_dump())
        if self.mean_rate is not None:
            return MeanRateDecoder(**self.mean_rate.model_dump())
        if self.population_vector is not None:
            directions = tuple(self.population_vector.preferred_deg)
            return PopulationVectorDecoder(preferred_deg=directions, tau_ms=self.population_vector.tau_ms)
        return SpikeTimesDecoder() if self.spike_times else CountDecoder()


class OutputEntry(_Port):
    """A monitor of spikes."""

    decoder: _Decoder
    cells: _Place

    def monitor(self) -> DirectOutputMonitor:
        """Return the declaration."""
        selectors = self.cells.selectors(len(self.channels))
        if len(set(self.channels)) != len(self.channels):
            raise ConfigurationError(f"port {self.name}: channel labels must be unique")
        return DirectOutputMonitor(
            name=self.name,
            unit=self.unit,
            low=self.low,
            high=self.high,
            channels={label: (selector,) for label, selector in zip(self.channels, selectors, strict=True)},
            decoder=self.decoder.spec(),
            provenance=self.provenance.text(),
            description=self.description,
        )
