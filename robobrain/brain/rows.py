"""Rows of the whole-brain tables: one model per file, which says what a valid row is."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Receptor = Literal["ex", "in", "AMPA", "NMDA", "GABA", "relay"]
Sign = Literal["E", "I"]

INHIBITORY_RECEPTORS = frozenset({"in", "GABA"})
RECEPTORS_OF_MODEL: dict[str, frozenset[str]] = {
    "iaf_cond_alpha": frozenset({"ex", "in"}),
    "iaf_cond_exp": frozenset({"ex", "in"}),
    "iaf_psc_alpha_multisynapse": frozenset({"AMPA", "NMDA", "GABA"}),
    "parrot_neuron": frozenset({"relay"}),
}
CONDUCTANCE_MODELS = frozenset({"iaf_cond_alpha", "iaf_cond_exp"})
EVERY_LAYER = "*"
Name = Annotated[str, Field(pattern=r"^[A-Za-z]\w*$")]
"""Names are words, so that they can stand in PRE:POST and in file names."""
LARGEST, SMALLEST = 1e9, 1e-9
"""No quantity of a brain is beyond these in its unit; what is derived from them stays finite."""
Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Positive = Annotated[float, Field(gt=0, ge=SMALLEST, le=LARGEST)]
LONGEST_DELAY_MS = 1_000.0
"""Each neuron holds a buffer for as long as the longest delay (assumed: no axon takes a second)."""


def _ascending(row: BaseModel, *names: str) -> None:
    """Raise unless the named values rise."""
    for below, above in pairwise(names):
        if getattr(row, below) >= getattr(row, above):
            raise ValueError(f"{below} must lie below {above}")


def _blank_to_none(value: Any) -> Any:
    return None if value == "" else value


OptionalNumber = Annotated[Number | None, BeforeValidator(_blank_to_none)]
OptionalPositive = Annotated[Positive | None, BeforeValidator(_blank_to_none)]


class _Row(BaseModel):
    """What all rows share: no unknown columns, no NaN, and a provenance that says why."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    provenance: Literal["source", "corrected", "assumed"]
    source: str = ""
    note: str = ""

    @model_validator(mode="after")
    def _explained(self) -> _Row:
        if self.provenance == "source" and not self.source:
            raise ValueError("provenance 'source' needs a reference in column 'source'")
        if self.provenance != "source" and not self.note:
            raise ValueError(f"provenance '{self.provenance}' needs the reason in column 'note'")
        return self


class PopulationRow(_Row):
    """One population at full size; ``neurons_authors`` is its number in the model authors' table."""

    population: Name
    region: Name
    layer: str
    cell_type: str
    sign: Sign
    neuron: str
    neurons_full: int = Field(gt=0, le=1_000_000_000)
    neurons_authors: int = Field(ge=0)
    scale_group: Literal["default", "granule", "nucleus"]


class NeuronRow(_Row):
    """One neuron type, conductance-based as published; ``V_working_mV`` is where it is linearised."""

    neuron: Name
    model: Literal["iaf_cond_alpha", "iaf_cond_exp", "iaf_psc_alpha_multisynapse", "parrot_neuron"]
    C_m_pF: OptionalPositive
    g_L_nS: OptionalPositive
    tau_m_ms: OptionalPositive
    E_L_mV: OptionalNumber
    V_th_mV: OptionalNumber
    V_reset_mV: OptionalNumber
    V_min_mV: OptionalNumber
    t_ref_ms: OptionalNumber = Field(ge=0)
    E_ex_mV: OptionalNumber
    E_in_mV: OptionalNumber
    tau_syn_ex_ms: OptionalPositive
    tau_syn_in_ms: OptionalPositive
    tau_nmda_ms: OptionalPositive
    I_e_pA: OptionalNumber
    V_working_mV: OptionalNumber

    @model_validator(mode="after")
    def _complete(self) -> NeuronRow:
        if self.model == "parrot_neuron":
            return self
        needed = [
            "C_m_pF",
            "E_L_mV",
            "V_th_mV",
            "V_reset_mV",
            "t_ref_ms",
            "tau_syn_ex_ms",
            "tau_syn_in_ms",
            "I_e_pA",
        ]
        needed += (
            ["g_L_nS", "E_ex_mV", "E_in_mV", "V_working_mV"]
            if self.model in CONDUCTANCE_MODELS
            else ["tau_m_ms", "tau_nmda_ms", "V_min_mV"]
        )
        if missing := [name for name in needed if getattr(self, name) is None]:
            raise ValueError(f"model {self.model} needs a value in {', '.join(missing)}")
        _ascending(self, "V_reset_mV", "V_th_mV")
        if self.model in CONDUCTANCE_MODELS:
            _ascending(self, "E_in_mV", "V_working_mV", "E_ex_mV")
        else:
            _ascending(self, "V_min_mV", "V_th_mV")
        return self


class ProjectionRow(_Row):
    """One projection at full size: mean in-degree, weight (nS, pA in the basal ganglia), delay."""

    pre: str
    post: str
    receptor: Receptor
    indegree: float = Field(ge=0, le=LARGEST)
    weight: Number
    weight_log_sd: float = Field(ge=0, le=5)
    sigma_mm: OptionalPositive
    delay_ms: float = Field(gt=0, le=LONGEST_DELAY_MS)
    delay_jitter_ms: float = Field(ge=0, le=LONGEST_DELAY_MS)
    enabled: bool

    @model_validator(mode="after")
    def _has_synapses(self) -> ProjectionRow:
        if self.enabled and (self.indegree == 0 or self.weight == 0):
            raise ValueError("an enabled projection needs an in-degree and a weight other than 0")
        return self


class GainRow(_Row):
    """A factor on the weights of all projections between two groups of populations; the last match wins."""

    pre_region: str
    pre_layer: str
    pre_sign: Sign
    post_region: str
    post_layer: str
    post_sign: Sign
    gain: Positive

    @property
    def between(self) -> tuple[str, ...]:
        """The two groups; what identifies the row."""
        return (
            self.pre_region,
            self.pre_layer,
            self.pre_sign,
            self.post_region,
            self.post_layer,
            self.post_sign,
        )

    def applies(self, pre: PopulationRow, post: PopulationRow) -> bool:
        """Return whether this row covers the projection from ``pre`` to ``post``."""
        return (
            (pre.region, pre.sign, post.region, post.sign)
            == (self.pre_region, self.pre_sign, self.post_region, self.post_sign)
            and self.pre_layer in (EVERY_LAYER, *_layers(self.pre_layer, pre.layer))
            and self.post_layer in (EVERY_LAYER, *_layers(self.post_layer, post.layer))
        )


def _layers(pattern: str, layer: str) -> tuple[str, ...]:
    return (pattern,) if layer in pattern.split("|") else ()


class DriveRow(_Row):
    """Background input of one population: an independent Poisson train per neuron."""

    population: str
    rate_hz: Positive
    weight: Positive


class TargetRow(BaseModel):
    """Resting rate of one population: the recipe's range and target, and the literature's."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    population: str
    low_hz: float = Field(ge=0, le=LARGEST)
    high_hz: Positive
    target_hz: Positive
    literature_low_hz: OptionalNumber
    literature_high_hz: OptionalNumber
    literature_typical_hz: OptionalNumber
    confidence: str
    species: str
    source: str

    @model_validator(mode="after")
    def _ordered(self) -> TargetRow:
        if (self.literature_low_hz is None) != (self.literature_high_hz is None):
            raise ValueError("literature_low_hz and literature_high_hz belong together: give both or none")
        if self.low_hz > self.target_hz or self.target_hz > self.high_hz:
            raise ValueError("target_hz must lie between low_hz and high_hz")
        if self.literature_low_hz is not None:
            _ascending(self, "literature_low_hz", "literature_high_hz")
        return self

    @property
    def verified(self) -> bool:
        """Whether the literature's range was verified in the text of its source."""
        return self.confidence.startswith("verified in text") and self.literature_low_hz is not None


class BiasRow(BaseModel):
    """Tuned bias current of one population at one size, with the rate that it gave."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    population: str
    bias_pA: Number
    rate_hz: float = Field(ge=0, le=LARGEST)
    target_hz: Positive


class SizeRow(BaseModel):
    """Scale of one named size."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    description: str
    neuron_scale: float = Field(gt=0, le=1)
    granule_scale: float = Field(gt=0, le=1)
    neurons_min: int = Field(gt=0)
    indegree_scale: float = Field(gt=0, le=1)
    granule_indegree_scale: float = Field(gt=0, le=1)
    threads: int = Field(gt=0)
    noise_relays: int = Field(gt=0)


class ScalingRule(BaseModel):
    """Constants of the scaling rule; their reasons stand in ``sizes.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    indegree_floor: Positive
    log_sd_exponent: float = Field(ge=0, le=10)
    log_sd_min: float = Field(gt=0, le=5)
    nucleus_neurons_min: int = Field(gt=0)
    nucleus_scale_factor: Positive


class NetworkSettings(BaseModel):
    """Settings of the simulation that belong to the brain and not to the run."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    resolution_ms: Positive
    synapse_delay_max_ms: float = Field(ge=2, le=LONGEST_DELAY_MS)
    settle_ms: float = Field(ge=0, le=LARGEST)
    seed: int = Field(gt=0)


class NoiseRule(BaseModel):
    """How the background input is thinned and pooled; reasons stand in ``sizes.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    event_scale: float = Field(ge=1, le=1_000)
    relay_rate_hz: Positive
    delay_min_ms: Positive
    delay_max_ms: float = Field(gt=0, le=LONGEST_DELAY_MS)

    @model_validator(mode="after")
    def _ordered(self) -> NoiseRule:
        _ascending(self, "delay_min_ms", "delay_max_ms")
        return self


class SizesFile(BaseModel):
    """Content of ``sizes.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: ScalingRule
    network: NetworkSettings
    noise: NoiseRule
    sizes: dict[Name, SizeRow] = Field(min_length=1)
