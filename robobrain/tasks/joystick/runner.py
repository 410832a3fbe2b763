"""A recorded session from end to end: start a brain, run trials in closed loop, leave a run directory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robobrain.brain.alterations import NONE, Alterations
from robobrain.brain.devices import NO_DEVICES, Devices, to_text
from robobrain.bridge.failover import FailoverBrain
from robobrain.errors import BrainFault, ConfigurationError
from robobrain.recording import check_destination, create
from robobrain.tasks.joystick.live import check_live
from robobrain.tasks.joystick.loop import Exchange, Frame, Loop, checked_exchange
from robobrain.tasks.joystick.protocol import StimulationProtocol, load_protocol
from robobrain.tasks.joystick.rig import FloatArray
from robobrain.tasks.joystick.session import FrameListener, SessionSummary, run_session
from robobrain.tasks.joystick.source import BrainSource
from robobrain.tasks.joystick.specification import JoystickSpec, load_task
from robobrain.tasks.joystick.streams import streams
from robobrain.tasks.joystick.trial import JoystickTask

if TYPE_CHECKING:
    from robobrain.body import Forelimb
    from robobrain.bridge.link import LocalBrain
    from robobrain.bridge.messages import Description
    from robobrain.bridge.remote import RemoteBrain
    from robobrain.tasks.joystick.replay import Journal

ON_FAULT = ("suspend", "failover", "truncate")
STILL = "arm.png"
STILL_SIZE = (960, 720)


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """What to run.

    Attributes:
        out: Run directory; must not exist, or be empty.
        brain: Size of the brain, part of all neurons, or folder of tables; None for the default, or for
            whatever the server has.
        task: Preset or file of the task.
        protocol: Name of the stimulation protocol.
        trials: Number of trials.
        seed: Root of all random draws of the session.
        threads: Threads of the kernel; None for the size's own.
        exchange_ms: Period of the exchange.
        record_spikes: Record all spikes (True), those of so many neurons per population, or none (False).
        live: Where to show the run while it goes on: "viewer", a file .rrd, or the URL of a viewer; None for
            nowhere.
        connect: ``host:port`` of a server whose brain is used; None for one on this machine.
        credentials: Folder of the client's credentials, for a server that asks for them.
        alterations: Lesions and controls of the brain.
        devices: Sources that need no input, and monitors, beside the brain's wiring; what monitors give is
            recorded.
        command: Command line that asked for the run, for the manifest.
        spares: Number of brains that are kept ready to take over from a lost one.
        ranks: MPI processes of the kernel, each with ``threads`` threads; None for one process.
        on_fault: What to do when the brain is lost: end the run so that it can be resumed (``suspend``), go
            on with a spare (``failover``), or end it there as if it had been planned so (``truncate``).
        exchange: Whether brain and body take turns (``lockstep``) or compute the same span of time at once
            (``overlapped``), with one period of delay from brain to body.
    """

    out: Path
    brain: str | None = None
    task: str = "quick"
    protocol: str = "pull"
    trials: int = 10
    seed: int = 1
    threads: int | None = None
    exchange_ms: float = 10.0
    record_spikes: bool | int = True
    live: str | None = None
    connect: str | None = None
    credentials: Path | None = None
    alterations: Alterations = NONE
    devices: Devices = NO_DEVICES
    command: Sequence[str] = field(default_factory=tuple)
    spares: int = 0
    ranks: int | None = None
    on_fault: str = "suspend"
    exchange: Exchange = "lockstep"

    def __post_init__(self) -> None:
        """Refuse what is no exchange and no answer to a fault."""
        checked_exchange(self.exchange)
        if self.on_fault not in ON_FAULT:
            raise ConfigurationError(f"on_fault is {self.on_fault!r}; use one of {', '.join(ON_FAULT)}.")
        if self.devices.inputs:
            names = ", ".join(source.name for source in self.devices.inputs)
            raise ConfigurationError(
                f"the loop has no values for the inputs {names}: use equations, noises or rhythms, or play "
                "them with robobrain brain run"
            )
        if self.spares < 0 or (self.spares and self.on_fault != "failover"):
            raise ConfigurationError(
                f"spares is {self.spares} with on_fault {self.on_fault!r}; spares are used by failover only."
            )
        if self.on_fault == "failover" and self.connect is not None:
            raise ConfigurationError(
                f"on_fault 'failover' needs brains on this machine; the brain is that of {self.connect}. "
                "Use suspend or truncate, or leave connect out."
            )

    @property
    def source(self) -> BrainSource:
        """Where the brain comes from."""
        names = (field.name for field in dataclasses.fields(BrainSource))
        return BrainSource(**{name: getattr(self, name) for name in names})


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What a run left: summary, and files beside the recording.

    Attributes:
        summary: The session.
        files: Figures and pictures.
        no_still: Why a still is missing.
        takeovers: How often a lost brain was replaced.
        fault: What ended a run that failed, and was to end there with its figures.
        neuron_models: Whose code computed the neurons, ``packed`` or ``nest``.
    """

    summary: SessionSummary
    files: tuple[Path, ...]
    no_still: str = ""
    takeovers: int = 0
    fault: str = ""
    neuron_models: str = ""


def run_plan(
    plan: RunPlan,
    *,
    on_build: Callable[[str, float], None] | None = None,
    on_frame: FrameListener | None = None,
    on_end: Callable[[SessionSummary], None] | None = None,
    record: Journal | None = None,
) -> RunResult:
    """Run a plan; everything that can be wrong about it is found before the run directory is made.

    Args:
        plan: What to run.
        on_build: Told about phases of the building of the brain.
        on_frame: Told about each exchange.
        on_end: Told about the session once it is recorded, before the figures are drawn.
        record: What a lost run left on disk: this one repeats it, is compared with it, and then goes on.

    Raises:
        ConfigurationError: A value of the plan can't be used.
        ReplayError: The run differs from the record that it should repeat.
        RecordingError: The run directory can't be written.
        BrainFault: The brain was lost; what was recorded is kept.
        BodyFault: The physics diverged; what was recorded is kept.
    """
    from robobrain.body import Forelimb  # noqa: PLC0415 - loads MuJoCo

    if plan.trials < 1:
        raise ConfigurationError(f"A session needs at least one trial, got {plan.trials}.")
    spec, protocol = load_task(plan.task), load_protocol(plan.protocol)
    plan.source.check()
    check_destination(plan.out)
    if plan.live is not None:
        check_live(plan.live)
    with _started(plan, on_build) as brain, closing(Forelimb()) as body:
        loop = Loop(brain, body, JoystickTask(spec), exchange=plan.exchange)
        streams(brain.description)  # refuses what can't be recorded
        largest = _LargestPull(body)
        follower = None if record is None else record.follower(brain.description, strict=True)
        so_far, fault = SessionSummary(), ""
        with (
            create(plan.out, _manifest(plan, spec, protocol, brain.description, record)) as writer,
            _live_view(plan, body, brain.description) as show,
        ):

            def listen(frame: Frame, summary: SessionSummary) -> None:
                nonlocal so_far
                so_far = summary
                if follower is not None:
                    follower.compare(frame)
                largest.watch(frame)
                show(frame)
                if on_frame is not None:
                    on_frame(frame, summary)

            try:
                so_far = run_session(
                    loop, protocol, trials=plan.trials, seed=plan.seed, writer=writer, on_frame=listen
                )
            except BrainFault as error:
                if plan.on_fault != "truncate":
                    if plan.connect is not None:
                        raise
                    hint = f"what is on disk goes on with: robobrain run --resume {plan.out}"
                    raise BrainFault(f"{error}\n{hint}") from error
                so_far, fault = dataclasses.replace(so_far, status="failed"), str(error)
        brain.close()  # gives a server's brain back: drawing takes a while
        if on_end is not None:
            on_end(so_far)
        body.set_state(largest.state)
        result = _illustrate(plan.out, body, spec, so_far)
        takeovers = brain.takeovers if isinstance(brain, FailoverBrain) else 0
        models = brain.description.neuron_models
        return dataclasses.replace(result, takeovers=takeovers, fault=fault, neuron_models=models)


def _started(
    plan: RunPlan, on_build: Callable[[str, float], None] | None
) -> LocalBrain | RemoteBrain | FailoverBrain:
    if plan.on_fault == "failover":
        return FailoverBrain(plan.source.start_local, spares=plan.spares, on_progress=on_build)
    return plan.source.start(on_build)


@contextmanager
def _live_view(plan: RunPlan, body: Forelimb, brain: Description) -> Iterator[Callable[[Frame], None]]:
    """Give what shows each frame live, or does nothing where that was not asked for."""
    if plan.live is None:
        yield lambda frame: None
        return
    from robobrain.tasks.joystick.liveview import LiveView  # noqa: PLC0415 - rerun is heavy

    with closing(LiveView(plan.live, body, brain, name=plan.out.name)) as view:
        yield view.add


class _LargestPull:
    """Keeps the state of the body at the largest pull, for the still."""

    def __init__(self, body: Forelimb) -> None:
        self._body, self._pull_mm = body, -np.inf
        self.state: FloatArray = body.get_state()

    def watch(self, frame: Frame) -> None:
        pull_mm = frame.joystick_mm[-1, 1]
        if pull_mm > self._pull_mm:
            self._pull_mm, self.state = pull_mm, self._body.get_state()


def _manifest(
    plan: RunPlan,
    spec: JoystickSpec,
    protocol: StimulationProtocol,
    brain: Description,
    record: Journal | None,
) -> dict[str, Any]:
    described = dataclasses.asdict(brain)
    manifest = {
        "command": list(plan.command),
        "plan": dataclasses.asdict(plan) | {"devices": to_text(plan.devices)},
        "seed": plan.seed,
        "protocol": plan.protocol,
        "stimulation": dataclasses.asdict(protocol),
        "trials": plan.trials,
        "brain": {
            "size": brain.brain,
            "connect": plan.connect,
            "record_spikes": plan.record_spikes,
            "alterations": dataclasses.asdict(plan.alterations),
            **described,
        },
        "exchange": {
            "mode": plan.exchange,
            "period_ms": brain.exchange_ms,
            "delay_ms": brain.exchange_ms if plan.exchange == "overlapped" else 0.0,
        },
        "task": {"preset": plan.task, "zones": zones(spec), **dataclasses.asdict(spec)},
    }
    return manifest if record is None else manifest | {"resumes": record.reference()}


def zones(spec: JoystickSpec) -> dict[str, dict[str, Any]]:
    """Return the zones of a task in the joystick's plane (mm), as figures read them."""
    target = spec.target
    return {
        "home": {"radius_mm": spec.home.radius_mm},
        "start": {"pull_mm": spec.pull.start_mm},
        "target": {
            "lateral_mm": [-target.half_width_mm, target.half_width_mm],
            "pull_mm": [target.near_mm, target.far_mm],
        },
    }


def _illustrate(folder: Path, body: Forelimb, spec: JoystickSpec, summary: SessionSummary) -> RunResult:
    """Draw the figures of the run, and a picture of the arm at its largest pull where OpenGL is there."""
    from robobrain.recording import figures, open  # noqa: PLC0415 - matplotlib is heavy

    run = open(folder)
    files = figures.write(run)
    try:
        return RunResult(summary=summary, files=(*files, _still(run.figures_path / STILL, body, spec)))
    except ConfigurationError as error:
        return RunResult(summary=summary, files=tuple(files), no_still=str(error))


def _still(path: Path, body: Forelimb, spec: JoystickSpec) -> Path:
    from matplotlib.image import imsave  # noqa: PLC0415

    from robobrain.body import Renderer, Zone  # noqa: PLC0415

    place = zones(spec)["target"]
    target = Zone(lateral_mm=tuple(place["lateral_mm"]), pull_mm=tuple(place["pull_mm"]))
    with Renderer(body, *STILL_SIZE, zones=[target]) as renderer:
        imsave(path, renderer.render())
    return path
