"""Lesions and controls: what is named stops, what is not named stays, and identities tell them apart."""

from __future__ import annotations

import numpy as np
import pytest

from robobrain.brain.alterations import NONE, Alterations, alter
from robobrain.brain.choice import choose
from robobrain.brain.config import kernel_config
from robobrain.brain.network import Network, wiring_generator
from robobrain.brain.resting import RateMeter
from robobrain.brain.sheet import Sheet, draw_synapses
from robobrain.brain.spec import BrainSpec
from robobrain.errors import ConfigurationError


@pytest.fixture(scope="module")
def tiny() -> BrainSpec:
    return choose("tiny").spec()


def rates_of(spec: BrainSpec, duration_ms: float = 400.0) -> dict[str, float]:
    network = Network(spec, threads=1)
    meter = RateMeter(network)
    meter.run(100.0)
    return meter.run(duration_ms)


def test_each_alteration_has_an_identity_of_its_own(tiny: BrainSpec) -> None:
    changes = [
        NONE,
        Alterations(lesion=("S1",)),
        Alterations(silence=("S1",)),
        Alterations(disconnect=("M1:BG",)),
        Alterations(disconnect=("BG:VL",)),
        Alterations(shuffle=True),
        Alterations(silence=("CB_M1_pkj",), shuffle=True),
    ]
    identities = [alter(tiny, change).identity for change in changes]
    assert identities[0] == tiny.identity
    assert len(set(identities)) == len(changes)


def test_the_label_says_what_was_altered(tiny: BrainSpec) -> None:
    altered = alter(tiny, Alterations(lesion=("S1",), disconnect=("M1:BG",), shuffle=True))
    assert altered.label == "tiny (lesion S1, disconnect M1:BG, shuffle)"
    assert tiny.label == altered.name == "tiny"


def test_a_lesion_takes_synapses_and_drive_but_keeps_places(tiny: BrainSpec) -> None:
    altered = alter(tiny, Alterations(lesion=("S1",)))
    dead = {p.name for p in tiny.populations if p.region == "S1"}
    assert [p.name for p in altered.populations] == [p.name for p in tiny.populations]
    assert altered.neurons == tiny.neurons
    assert not [p for p in altered.projections if {p.pre, p.post} & dead]
    assert not [d for d in altered.drives if d.population in dead]
    untouched = [p for p in tiny.projections if not {p.pre, p.post} & dead]
    assert list(altered.projections) == untouched


def test_lesioned_and_silenced_cells_never_fire(tiny: BrainSpec) -> None:
    rates = rates_of(alter(tiny, Alterations(lesion=("S1",), silence=("BG_CSN", "CB_M1_pkj"))))
    region = {p.name: p.region for p in tiny.populations}
    assert all(rate == 0 for name, rate in rates.items() if region[name] == "S1")
    assert rates["BG_CSN"] == rates["CB_M1_pkj"] == 0
    assert rates["M1_L23_PV"] > 0
    assert rates["CB_M1_vn"] > 0


def test_silencing_purkinje_cells_frees_the_nuclei(tiny: BrainSpec) -> None:
    before = rates_of(tiny)
    after = rates_of(alter(tiny, Alterations(silence=("CB_M1_pkj",))))
    assert after["CB_M1_vn"] > 1.3 * before["CB_M1_vn"]


def test_silencing_motor_cortex_takes_its_drive_from_the_basal_ganglia(tiny: BrainSpec) -> None:
    before = rates_of(tiny)
    after = rates_of(alter(tiny, Alterations(silence=("M1",))))
    assert after["BG_PTN"] < 0.8 * before["BG_PTN"]
    assert after["M1_L5B_PT"] == 0


def test_a_disconnection_leaves_everything_else(tiny: BrainSpec) -> None:
    altered = alter(tiny, Alterations(disconnect=("M1:BG",)))
    region = {p.name: p.region for p in tiny.populations}
    removed = {p.key for p in tiny.projections} - {p.key for p in altered.projections}
    assert removed
    assert {(region[pre], region[post]) for pre, post, _ in removed} == {("M1", "BG")}
    everything = alter(tiny, Alterations(disconnect=("*:BG",)))
    assert {p.pre for p in everything.projections if region[p.post] == "BG"} == set()


@pytest.mark.parametrize("pair", [("S1_L4_Pyr", "S1_L3_Pyr"), ("M1_L23_CC", "M1_L23_CC")])
def test_a_shuffle_keeps_all_degrees_and_loses_topography(tiny: BrainSpec, pair: tuple[str, str]) -> None:
    spec = choose("small").spec()
    projection = next(p for p in spec.projections if (p.pre, p.post) == pair)
    sizes = {p.name: p.size for p in spec.populations}
    pre, post = Sheet(sizes[projection.pre]), Sheet(sizes[projection.post])
    plain, shuffled = (
        draw_synapses(projection, pre, post, 0.5, wiring_generator(1, projection), shuffled=shuffle)
        for shuffle in (False, True)
    )
    assert np.array_equal(np.bincount(plain.target), np.bincount(shuffled.target))
    assert np.array_equal(np.bincount(plain.source), np.bincount(shuffled.source))
    assert not np.array_equal(plain.source, shuffled.source)
    x_pre, x_post = pre.positions_mm()[0], post.positions_mm()[0]
    near, far = (np.corrcoef(x_pre[drawn.source], x_post[drawn.target])[0, 1] for drawn in (plain, shuffled))
    assert near > 0.3
    assert abs(far) < 0.1
    if projection.pre == projection.post:
        assert not np.any(shuffled.source == shuffled.target)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (Alterations(lesion=("V1",)), "lesion 'V1'"),
        (Alterations(silence=("M1_L9",)), "silence 'M1_L9'"),
        (Alterations(disconnect=("M1",)), "write PRE:POST"),
        (Alterations(disconnect=("M1:",)), "write PRE:POST"),
        (Alterations(disconnect=("BG_MSN:CB_M1_gr",)), "there is no projection"),
    ],
)
def test_what_is_not_there_is_named(tiny: BrainSpec, changes: Alterations, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        alter(tiny, changes)
    with pytest.raises(ConfigurationError, match=said):
        kernel_config("tiny", alterations=changes)


def test_alterations_survive_json() -> None:
    changes = Alterations(lesion=("S1",), disconnect=("M1:BG",), shuffle=True)
    assert Alterations.of({"lesion": ["S1"], "disconnect": ["M1:BG"], "shuffle": True}) == changes
    assert Alterations.of(None) == NONE


@pytest.mark.slow
def test_a_kernel_process_and_an_environment_run_a_lesioned_brain() -> None:
    from robobrain.brain.config import local_brain
    from robobrain.tasks.joystick.brain_env import JoystickBrainEnv

    with local_brain("tiny", alterations=Alterations(lesion=("S1",))) as link:
        assert link.description.brain == "tiny (lesion S1)"
        readings = link.reset(1)
        rates = readings.outputs[link.description.output_slice("region_rate")]
    assert rates[1] == 0  # S1
    assert rates[0] > 0
    env = JoystickBrainEnv(brain="tiny", alterations={"silence": ["S1"]})
    try:
        env.reset(seed=1)
        assert env.step(env.action_space.sample())[0].shape == env.observation_space.shape
    finally:
        env.close()


@pytest.mark.parametrize(("pre", "post"), [("M1", "BG"), ("VM", "S1_L4_Pyr"), ("*", "CB_M1_pons")])
def test_synapses_are_cut_between_two_runs(tiny: BrainSpec, pre: str, post: str) -> None:
    spec = alter(tiny, Alterations(disconnect=(f"{pre}:{post}",)))
    network = Network(tiny, threads=1)
    network.nest.Prepare()
    network.nest.Run(20.0)
    before = network.kernel_counts().synapses
    cut = network.cut(pre, post)
    relays = before - network.kernel_counts().synapses
    weights = {
        key: np.atleast_1d(network.synapses_in_kernel(*key).weight)
        for key in {p.key[:2] for p in tiny.projections} - {p.key[:2] for p in spec.projections}
        if not network.populations[key[1]].relay
    }
    network.nest.Run(20.0)
    network.nest.Cleanup()
    assert cut == pytest.approx(tiny.synapses_expected - spec.synapses_expected, rel=0.05)
    assert relays + sum(map(len, weights.values())) == cut
    assert not any(np.any(values) for values in weights.values())
    assert network.synapses_in_kernel("M1_L23_CC", "M1_L23_PV").weight[0] != 0
    assert network.cut("BG_MSN", "CB_M1_gr") == 0


@pytest.mark.slow
def test_a_running_brain_is_cut_by_name() -> None:
    from robobrain.brain.config import local_brain

    with local_brain("tiny") as link:
        pons = link.description.output_slice("region_rate")
        link.reset(1)
        rest = [0.0] * link.description.input_size

        def rates(silence: tuple[str, ...]) -> np.ndarray:
            link.restore(instant, silence=silence)
            return np.mean([link.step(rest).outputs[pons] for _ in range(60)], axis=0)

        instant = link.snapshot()
        whole, cut = rates(()), rates(("*:CB_M1", "VM:*"))
        again = rates(())
    assert np.array_equal(whole, again)  # the instant itself is not touched
    assert np.max(np.abs(cut - whole)) > 1.0
    with local_brain("tiny") as link:
        link.reset(1)
        with pytest.raises(ConfigurationError, match="PRE:POST"):
            link.restore(link.snapshot(), silence=["M1:BG:VL"])
        with pytest.raises(ConfigurationError, match="no population or region 'V1'"):
            link.restore(link.snapshot(), silence=["V1:M1"])
