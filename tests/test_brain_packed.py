"""Packed neurons: the same as NEST's own to the last bit, and an error wherever they can't be had."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from robobrain.brain import packed
from robobrain.brain.choice import choose
from robobrain.brain.config import local_brain
from robobrain.brain.counters import CountingNeurons, make_counters
from robobrain.brain.network import Network
from robobrain.brain.packed import (
    COUNTER,
    MODELS,
    RATE_SOURCE,
    RECORDED,
    SENDER_BITS,
    SYNAPSE,
    NeuronModels,
    module_path,
)
from robobrain.brain.packed_library import Rates, SpikeCounts, SpikeLog
from robobrain.brain.site import Site
from robobrain.brain.spike_tap import SpikeTap
from robobrain.errors import BrainFault, ConfigurationError

nest = pytest.importorskip("nest")
MODULE = module_path()
if MODULE is None and not os.environ.get("CI"):
    pytest.skip("packed neurons are not compiled", allow_module_level=True)
assert MODULE is not None, "packed neurons are not compiled: robobrain brain compile"

RESOLUTION_MS = 0.5
NEURONS = 60
PORTED = "iaf_psc_alpha_multisynapse"
Parameters = dict[str, Any]
NEURON_PARAMETERS = st.fixed_dictionaries(
    {
        "C_m": st.floats(20.0, 400.0),
        "tau_m": st.floats(2.0, 40.0),
        "t_ref": st.sampled_from([0.0, 0.5, 2.0, 3.7]),
        "E_L": st.floats(-80.0, -60.0),
        "V_reset": st.floats(-80.0, -60.0),
        "V_th": st.floats(-58.0, -40.0),
        "tau_syn_ex": st.floats(0.2, 20.0),
        "tau_syn_in": st.floats(0.2, 170.0),
    }
)


def kernel(threads: int, *, seed: int = 7, models: NeuronModels = NeuronModels.PACKED) -> dict[str, str]:
    """Reset the kernel; return the names of the models to build from."""
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.ResetKernel()
    nest.resolution = RESOLUTION_MS
    nest.local_num_threads = threads
    nest.rng_seed = seed
    if models is NeuronModels.NEST:
        nest.CopyModel("static_synapse", SYNAPSE)
        return {name: name for name in MODELS}
    nest.Install(str(MODULE))
    return dict(MODELS)


def course(models: NeuronModels, model: str, parameters: Parameters, seed: int) -> list[NDArray[np.float64]]:
    """Return spikes and state of a recurrent network that noise, currents and changes between runs drive."""
    names = kernel(1, seed=seed, models=models)
    state, soon = ["V_m", "I_syn_ex", "I_syn_in"], {"V_th": parameters["V_th"] - 3.0}
    if model == PORTED:
        state = ["V_m", "I_syn", "I_syn_1", "I_syn_2", "I_syn_3"]
        taus = parameters.pop("tau_syn_ex"), parameters.pop("tau_syn_in")
        parameters |= {"tau_syn": [taus[0], 12.0, taus[1]], "V_min": parameters["V_reset"] - 1.0}
        soon["V_min"] = parameters["V_reset"] - 0.5
    rng = np.random.default_rng(seed)
    neurons = nest.Create(names[model], NEURONS, params=parameters)
    neurons.V_m = rng.uniform(parameters["V_reset"], parameters["V_th"], NEURONS)
    relays = nest.Create(names["parrot_neuron"], 20)
    noise = nest.Create("poisson_generator", params={"rate": 900.0})
    current = nest.Create("dc_generator", params={"amplitude": 80.0, "start": 20.0, "stop": 60.0})
    nest.Connect(noise, relays, syn_spec={"delay": 1.0})
    drive = parameters["C_m"]
    leg = {
        "synapse_model": SYNAPSE,
        "weight": 0.2 * drive,
        "delay": 1.5,
        "receptor_type": int(model == PORTED),
    }
    nest.Connect(relays, neurons, syn_spec=leg)
    nest.Connect(current, neurons[:10])
    sources, targets = rng.integers(0, NEURONS, (2, 800)) + neurons[0].global_id
    wires = {"weight": rng.normal(0.0, 0.3, 800) * drive, "delay": rng.integers(2, 15, 800) * RESOLUTION_MS}
    wires["receptor_type"] = rng.integers(1, 4, 800) * (model == PORTED)
    nest.Connect(sources, targets, "one_to_one", {"synapse_model": SYNAPSE} | wires)
    recorder = nest.Create("spike_recorder")
    meter = nest.Create("multimeter", params={"record_from": state, "interval": RESOLUTION_MS})
    nest.Connect(neurons, recorder)
    nest.Connect(relays, recorder)
    nest.Connect(meter, neurons[:30])
    nest.Prepare()
    nest.Run(50.0)
    neurons.I_e = rng.uniform(0.0, 0.6, NEURONS) * drive
    nest.Run(50.0)
    neurons[:20].set(soon | {"tau_m": parameters["tau_m"] * 0.7, "t_ref": 5.0})
    nest.Run(50.0)  # potentials act at once, the others with the next Prepare
    nest.Cleanup()
    late = nest.Create(names[model], 5, params=parameters | {"I_e": 2.0 * drive})
    nest.Connect(late, neurons, syn_spec=leg | {"synapse_model": "static_synapse", "delay": 2.0})
    nest.Simulate(50.0)
    spikes, seen = recorder.events, meter.events
    return [
        *(spikes[name][np.lexsort((spikes["senders"], spikes["times"]))] for name in ("times", "senders")),
        *(seen[name][np.lexsort((seen["senders"], seen["times"]))] for name in state),
    ]


@settings(max_examples=18, deadline=None)
@given(
    model=st.sampled_from(["iaf_psc_alpha", "iaf_psc_exp", PORTED]),
    parameters=NEURON_PARAMETERS,
    seed=st.integers(1, 2**31),
)
def test_spikes_and_states_are_those_of_nests_own_neurons(
    model: str, parameters: Parameters, seed: int
) -> None:
    parameters["V_reset"] = min(parameters["V_th"] - 4.0, parameters["V_reset"])
    own, ours = (
        course(models, model, dict(parameters), seed) for models in (NeuronModels.NEST, NeuronModels.PACKED)
    )
    assert own[0].size > 100
    for theirs, found in zip(own, ours, strict=True):
        np.testing.assert_array_equal(theirs, found)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", ["tiny", "tiny-conductance"])
def test_a_driven_brain_is_the_same_to_the_last_bit(threads: int, size: str) -> None:
    courses = []
    for models in NeuronModels:
        with local_brain(size, threads=threads, record_spikes=True, neurons=models) as brain:
            assert brain.description.neuron_models == models
            rng = np.random.default_rng(3)
            outputs, spikes = [], []
            for episode in (5, 6):
                brain.reset(episode)
                for _ in range(70):  # longer than a chunk of spikes
                    reply = brain.step(rng.uniform(0.0, 1.0, brain.description.input_size))
                    outputs.append(reply.outputs)
                    spikes.append(reply.spikes)
                spikes.append(brain.collect())
            courses.append((brain.description.identity, np.array(outputs), [one for one in spikes if one]))
    (identity, outputs, spikes), (their_identity, their_outputs, their_spikes) = courses
    assert identity == their_identity
    np.testing.assert_array_equal(outputs, their_outputs)
    for column in ("t_ms", "sender"):
        ours, theirs = (
            np.concatenate([getattr(one, column) for one in chunks]) for chunks in (spikes, their_spikes)
        )
        assert ours.size > 2_000
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_log_has_what_a_recorder_has(threads: int) -> None:
    names = kernel(threads)
    neurons = nest.Create(names["iaf_psc_alpha"], 50, params={"I_e": 450.0})
    neurons.V_m = np.linspace(-70.0, -56.0, 50)
    relays = nest.Create(names["parrot_neuron"], 4)
    nest.Connect(neurons, relays, syn_spec={"delay": 1.0})  # several spikes at once
    recorder = nest.Create("spike_recorder")
    recorded = neurons[:30] + relays[:2]
    nest.Connect(recorded, recorder)
    recorded.set({RECORDED: True})
    assert MODULE is not None
    log, keys = SpikeLog(MODULE, threads), []
    nest.Prepare()
    for _ in range(5):
        nest.Run(40.0)
        keys.append(log.take())
    nest.Cleanup()
    found = np.sort(np.concatenate(keys))
    steps = np.rint(recorder.events["times"] / RESOLUTION_MS).astype(np.int64)
    assert found.size > 500
    np.testing.assert_array_equal(found, np.sort((steps << SENDER_BITS) | recorder.events["senders"]))
    assert log.take().size == 0


def test_only_the_chosen_neurons_are_recorded() -> None:
    network = Network(choose("tiny").spec(), threads=1)
    tap = SpikeTap(
        network.nest,
        network.populations,
        network.populations,
        min_delay_ms=1.0,
        log=network.spike_log(),
        per_population=3,
    )
    network.nest.Prepare()
    network.nest.Run(300.0)
    chunk = tap.flush()
    network.nest.Cleanup()
    chosen = np.concatenate(list(tap.recorded.values()))
    assert chunk.sender.size > 100
    assert np.isin(chunk.sender, chosen).all()


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"V_reset": -50.0}, "V_reset"),
        ({"C_m": 0.0}, "positive"),
        ({"tau_syn_in": -1.0}, "positive"),
        ({"t_ref": -0.5}, "t_ref"),
        ({"tau_m": float("nan")}, "positive"),
    ],
)
def test_bad_parameters_are_refused_and_change_nothing(parameters: dict[str, float], said: str) -> None:
    names = kernel(1)
    neuron = nest.Create(names["iaf_psc_exp"])
    before = neuron.get()
    with pytest.raises(nest.NESTError, match=said):
        neuron.set({"V_m": -60.0} | parameters)
    assert neuron.get() == before


def test_a_lowest_potential_is_a_number() -> None:
    neuron = nest.Create(kernel(1)[PORTED])
    with pytest.raises(nest.NESTError, match="V_min"):
        neuron.V_min = float("nan")


@pytest.mark.parametrize("taus_ms", [[2.0, 2.0], [2.0] * 4, [2.0, 0.0, 2.0]])
def test_three_ports_need_three_positive_time_constants(taus_ms: list[float]) -> None:
    neuron = nest.Create(kernel(1)[PORTED])
    with pytest.raises(nest.NESTError, match="time constant"):
        neuron.set({"tau_syn": taus_ms})
    assert neuron.tau_syn.tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("model", ["iaf_psc_alpha", "iaf_psc_exp", "parrot_neuron"])
def test_what_packed_neurons_lack_is_refused(model: str) -> None:
    names = kernel(1)
    nodes = nest.Create(names[model], 2)
    with pytest.raises(nest.NESTError, match=r"[Rr]eceptor"):
        nest.Connect(nodes, nodes, syn_spec={"receptor_type": 1})


@pytest.mark.parametrize("port", [0, 4])
def test_ports_that_do_not_exist_are_refused(port: int) -> None:
    nodes = nest.Create(kernel(1)[PORTED], 2)
    with pytest.raises(nest.NESTError, match=r"[Rr]eceptor"):
        nest.Connect(nodes, nodes, syn_spec={"synapse_model": SYNAPSE, "receptor_type": port})


@pytest.mark.parametrize("threads", [1, 2])
def test_packed_counters_count_what_nests_own_do(threads: int) -> None:
    names = kernel(threads)
    cells = nest.Create(names["iaf_psc_alpha"], 30, params={"I_e": 450.0})
    cells.V_m = np.linspace(-70.0, -56.0, 30)
    relays = nest.Create(names["parrot_neuron"], 4)
    nest.Connect(cells, relays, syn_spec={"delay": 1.0})  # several spikes at once
    site = Site(
        nest=nest,
        populations={},
        resolution_ms=RESOLUTION_MS,
        exchange_ms=10.0,
        min_delay_ms=1.0,
        module=MODULE,
    )
    first = cells[0].global_id
    groups = [first + np.arange(size) for size in (5, 30, 1, 30)] + [np.asarray(relays.tolist())]
    counters = [make_counters(site, groups), CountingNeurons(site, groups)]
    nest.Prepare()
    counts = []
    for _ in range(20):
        nest.Run(10.0)
        counts.append([counter.new() for counter in counters])
    nest.Cleanup()
    packed_counts, own = np.swapaxes(counts, 0, 1)
    np.testing.assert_array_equal(packed_counts, own)
    assert own.sum(axis=0).min() > 5
    with pytest.raises(nest.NESTError, match="no such place"):
        nest.GetNodes({"model": COUNTER})[0].place = 99


@pytest.mark.parametrize("model", [COUNTER, RATE_SOURCE])
def test_a_node_without_a_place_does_not_run(model: str) -> None:
    kernel(1)
    nest.Create(model)
    with pytest.raises(nest.NESTError, match="needs a place"):
        nest.Simulate(5.0)


def test_places_of_a_network_that_is_gone_are_refused() -> None:
    assert MODULE is not None
    kernel(1)
    rates, counts = Rates(MODULE, 2), SpikeCounts(MODULE, 2)
    kernel(1)
    Rates(MODULE, 2)
    SpikeCounts(MODULE, 2)
    with pytest.raises(BrainFault, match="has been reset"):
        rates.write(999.0)
    with pytest.raises(BrainFault, match="has been reset"):
        counts.read()


@pytest.mark.parametrize("threads", [1, 2])
def test_packed_sources_draw_the_trains_of_nests_own(threads: int) -> None:
    rng = np.random.default_rng(2)
    rates_hz = rng.uniform(0.0, 1.0, (12, 3)) ** 3 * 20_000.0  # up to ten spikes in a step
    rates_hz[3] = 0.0
    rates_hz[[5, 7, 8]] *= 10.0  # from twelve on the distribution draws otherwise, and keeps a number
    trains = []
    for packed_ones in (True, False):
        kernel(threads)
        model = RATE_SOURCE if packed_ones else "inhomogeneous_poisson_generator"
        sources = nest.Create(model, 3, params={"stop": 110.0})
        relays = nest.Create("parrot_neuron", 9)
        recorder = nest.Create("spike_recorder")
        for source, targets in zip(sources, (relays[:4], relays[4:], relays), strict=True):
            nest.Connect(source, targets, syn_spec={"delay": 1.0})
        nest.Connect(relays, recorder)
        assert MODULE is not None
        rates = Rates(MODULE, 3) if packed_ones else None
        if rates is not None:
            sources.place = [rates.first, rates.first + 1, rates.first + 2]
        nest.Prepare()
        for exchange, wanted in enumerate(rates_hz):
            if rates is None:
                first_ms = [exchange * 10.0 + RESOLUTION_MS]
                sources.set([{"rate_times": first_ms, "rate_values": [rate]} for rate in wanted])
            else:
                rates.write(wanted)
            nest.Run(10.0)
        nest.Cleanup()
        order = np.lexsort((recorder.events["senders"], recorder.events["times"]))
        trains.append([recorder.events[name][order] for name in ("times", "senders")])
    assert trains[0][0].size > 2_000
    np.testing.assert_array_equal(trains[0], trains[1])


def test_packed_synapses_bring_spikes_to_ports_of_nests_own_neurons() -> None:
    kernel(1)
    driver = nest.Create("iaf_psc_alpha", params={"I_e": 500.0})
    receiver = nest.Create("iaf_psc_alpha_multisynapse", params={"tau_syn": [2.0] * 9})
    meter = nest.Create("multimeter", params={"record_from": ["I_syn_3", "I_syn_7"]})
    nest.Connect(driver, receiver, syn_spec={"synapse_model": SYNAPSE, "weight": 5.0, "receptor_type": 7})
    nest.Connect(meter, receiver)
    nest.Simulate(100.0)
    assert np.max(meter.events["I_syn_7"]) > 1.0
    assert not np.any(meter.events["I_syn_3"])
    with pytest.raises(nest.NESTError, match="not of devices"):
        nest.Connect(nest.Create("spike_generator"), driver, syn_spec={"synapse_model": SYNAPSE})
    with pytest.raises(nest.NESTError, match="ports below 8"):
        nest.Connect(driver, receiver, syn_spec={"synapse_model": SYNAPSE, "receptor_type": 8})


def test_packed_synapses_tell_and_take_their_weight_and_delay() -> None:
    names = kernel(1)
    neurons = nest.Create(names["iaf_psc_exp"], 3)
    nest.Connect(neurons, neurons, "all_to_all", {"synapse_model": SYNAPSE, "weight": 2.0, "delay": 1.5})
    synapses = nest.GetConnections(neurons[:1], neurons[1:])
    assert synapses.get(["weight", "delay", "receptor"]) == {
        "weight": [2.0, 2.0],
        "delay": [1.5, 1.5],
        "receptor": [0, 0],
    }
    synapses.weight = -3.0
    assert nest.GetConnections(neurons, neurons).get("weight").count(-3.0) == 2
    synapses.disconnect()
    assert len(nest.GetConnections(neurons, neurons)) == 7


def test_names_of_neurons_are_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'fast'.*packed, nest"):
        packed.neuron_models("fast")
    assert packed.neuron_models(None) is NeuronModels.PACKED
    assert packed.neuron_models("nest") is NeuronModels.NEST
    monkeypatch.setattr(sys, "prefix", str(tmp_path))  # where nothing is compiled
    assert packed.neuron_models(None) is NeuronModels.NEST
    with pytest.raises(ConfigurationError, match="robobrain brain compile"):
        packed.neuron_models("packed")


@pytest.mark.parametrize(
    ("compiler", "said"),
    [("/nowhere/g++", "/nowhere/g"), ("false --really", "ended with 1"), (None, "install g")],
)
def test_without_a_compiler_there_is_an_error_and_no_module(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, compiler: str | None, said: str
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    if compiler is None:
        monkeypatch.delenv("CXX", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        monkeypatch.setenv("CXX", compiler)
    with pytest.raises(ConfigurationError, match=said):
        packed.compile_module()
    assert not list(tmp_path.rglob("*.so"))


def test_a_place_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "lib").write_text("in the way", encoding="utf-8")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    with pytest.raises(ConfigurationError, match="robobrain"):
        packed.compile_module()


def test_a_module_that_fires_otherwise_is_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    changed = shutil.copytree(packed._SOURCES, tmp_path / "changed")
    dynamics = changed / "dynamics.h"
    text = dynamics.read_text(encoding="utf-8")
    line = "i_ex *= p.decay_ex;"
    assert line in text
    dynamics.write_text(text.replace(line, f"{line} i_ex *= 0.999;"), encoding="utf-8")
    monkeypatch.setattr(packed, "_SOURCES", changed)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    with pytest.raises(ConfigurationError, match="spikes that are not"):
        packed.compile_module()
    assert not list((tmp_path / "environment").rglob("*.so"))


def test_a_module_is_compiled_checked_and_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    made = packed.compile_module()
    assert module_path() == made
    assert [entry.name for entry in (tmp_path / "lib" / "robobrain").iterdir()] == [made.parent.name]


def test_another_module_in_one_process_is_refused(tmp_path: Path) -> None:
    kernel(1)
    spec = choose("tiny").spec()
    Network(spec, threads=1)
    with pytest.raises(ConfigurationError, match="start a new one"):
        Network(spec, threads=1, packed=tmp_path / "robobrainmodule.so")
