"""Rows of the whole-brain tables: one model per file, which says what a valid row is."""

from __future__ import annotations

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


def _blank_to_none(value: Any) -> Any:
    return None if value == "" else value


OptionalNumber = Annotated[float | None, BeforeValidator(_blank_to_none)]


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

    population: str = Field(min_length=1)
    region: str = Field(min_length=1)
    layer: str
    cell_type: str
    sign: Sign
    neuron: str
    neurons_full: int = Field(gt=0)
    neurons_authors: int = Field(ge=0)
    scale_group: Literal["default", "granule", "nucleus"]


class NeuronRow(_Row):
    """One neuron type, conductance-based as published; ``V_working_mV`` is where it is linearised."""

    neuron: str = Field(min_length=1)
    model: Literal["iaf_cond_alpha", "iaf_cond_exp", "iaf_psc_alpha_multisynapse", "parrot_neuron"]
    C_m_pF: OptionalNumber = Field(gt=0)
    g_L_nS: OptionalNumber = Field(gt=0)
    tau_m_ms: OptionalNumber = Field(gt=0)
    E_L_mV: OptionalNumber
    V_th_mV: OptionalNumber
    V_reset_mV: OptionalNumber
    V_min_mV: OptionalNumber
    t_ref_ms: OptionalNumber = Field(ge=0)
    E_ex_mV: OptionalNumber
    E_in_mV: OptionalNumber
    tau_syn_ex_ms: OptionalNumber = Field(gt=0)
    tau_syn_in_ms: OptionalNumber = Field(gt=0)
    tau_nmda_ms: OptionalNumber = Field(gt=0)
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
        return self


class ProjectionRow(_Row):
    """One projection at full size: mean in-degree, weight (nS, pA in the basal ganglia), delay."""

    pre: str
    post: str
    receptor: Receptor
    indegree: float = Field(ge=0)
    weight: float
    weight_log_sd: float = Field(ge=0)
    sigma_mm: OptionalNumber = Field(gt=0)
    delay_ms: float = Field(gt=0)
    delay_jitter_ms: float = Field(ge=0)
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
    gain: float = Field(gt=0)

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
            and self.pre_layer in ("*", *_layers(self.pre_layer, pre.layer))
            and self.post_layer in ("*", *_layers(self.post_layer, post.layer))
        )


def _layers(pattern: str, layer: str) -> tuple[str, ...]:
    return (pattern,) if layer in pattern.split("|") else ()


class DriveRow(_Row):
    """Background input of one population: an independent Poisson train per neuron."""

    population: str
    rate_hz: float = Field(gt=0)
    weight: float = Field(gt=0)


class TargetRow(BaseModel):
    """Resting rate of one population: the recipe's range and target, and the literature's."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    population: str
    low_hz: float = Field(ge=0)
    high_hz: float = Field(gt=0)
    target_hz: float = Field(gt=0)
    literature_low_hz: OptionalNumber
    literature_high_hz: OptionalNumber
    literature_typical_hz: OptionalNumber
    confidence: str
    species: str
    source: str

    @property
    def verified(self) -> bool:
        """Whether the literature's range was verified in the text of its source."""
        return self.confidence.startswith("verified in text") and self.literature_low_hz is not None


class BiasRow(BaseModel):
    """Tuned bias current of one population at one size, with the rate that it gave."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    population: str
    bias_pA: float
    rate_hz: float = Field(ge=0)
    target_hz: float = Field(gt=0)


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

    indegree_floor: float = Field(gt=0)
    log_sd_exponent: float = Field(ge=0)
    log_sd_min: float = Field(gt=0)
    nucleus_neurons_min: int = Field(gt=0)
    nucleus_scale_factor: float = Field(gt=0)


class NetworkSettings(BaseModel):
    """Settings of the simulation that belong to the brain and not to the run."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    resolution_ms: float = Field(gt=0)
    settle_ms: float = Field(ge=0)
    seed: int = Field(gt=0)


class NoiseRule(BaseModel):
    """How the background input is thinned and pooled; reasons stand in ``sizes.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    event_scale: float = Field(ge=1)
    relay_rate_hz: float = Field(gt=0)
    delay_min_ms: float = Field(gt=0)
    delay_max_ms: float = Field(gt=0)


class SizesFile(BaseModel):
    """Content of ``sizes.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: ScalingRule
    network: NetworkSettings
    noise: NoiseRule
    sizes: dict[str, SizeRow]
