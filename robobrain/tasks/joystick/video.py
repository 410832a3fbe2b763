"""A recorded run as a film: the arm, and beside it raster and joystick plane at the same moments."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robobrain.errors import RecordingError
from robobrain.recording import Run

ARM_SIZE = (800, 720)
PANEL_SIZE = (480, 720)
"""Width and height in pixels; together 1280 x 720."""

ProgressListener = Callable[[int, int], None]
"""Called with the number of pictures made, and of all."""


def render_run(
    run: Run,
    file: Path,
    *,
    from_s: float | None = None,
    to_s: float | None = None,
    slow: float = 1.0,
    fps: int = 30,
    camera: str = "overview",
    on_progress: ProgressListener | None = None,
) -> Path:
    """Write a film of a run and return its file.

    Args:
        run: The run, with a recorded ``body_state``.
        file: What to write, ending in ``.mp4``; it appears when it is complete.
        from_s: Session time to begin at; the run's begin if not given.
        to_s: Session time to end at; the run's end if not given.
        slow: Factor of slow motion: 4 shows a second in four.
        fps: Pictures per second of the film.
        camera: Camera of the arm.
        on_progress: Told about each picture.

    Raises:
        RecordingError: A value can't be used, imageio is missing, or the file can't be written.
        ConfigurationError: An unknown camera, or no OpenGL on this machine.
    """
    first, last = run.span_ms
    t0_ms = first if from_s is None else 1e3 * from_s
    t1_ms = last if to_s is None else 1e3 * to_s
    usable = all(math.isfinite(value) for value in (t0_ms, t1_ms, slow)) and slow > 0 and fps > 0
    if not (usable and min(t1_ms, last) > max(t0_ms, first)):
        raise RecordingError(
            f"Nothing to show: {t0_ms / 1e3:g} to {t1_ms / 1e3:g} s, slow {slow:g}, {fps} pictures "
            f"per second; the run has {first / 1e3:g} to {last / 1e3:g} s."
        )
    if file.suffix != ".mp4":
        raise RecordingError(f"{file} must end in .mp4.")
    moments = np.arange(max(t0_ms, first), min(t1_ms, last), 1e3 / (fps * slow))
    unnamed = file.with_name(f".{file.stem}.part.mp4")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with closing(_open_writer(unnamed, fps)) as output:
            pictures = _pictures(run, moments, camera, f"{slow:g} x slower" if slow != 1 else "")
            for number, picture in enumerate(pictures, start=1):
                output.append_data(picture)
                if on_progress is not None:
                    on_progress(number, len(moments))
        unnamed.replace(file)
    except OSError as error:
        raise RecordingError(f"Can't write the film {file}: {error}.") from error
    finally:
        unnamed.unlink(missing_ok=True)
    return file


def _pictures(
    run: Run, moments: NDArray[np.float64], camera: str, remark: str
) -> Iterator[NDArray[np.uint8]]:
    from robobrain.body import Forelimb, Renderer  # noqa: PLC0415 - loads MuJoCo
    from robobrain.recording.figures import styled  # noqa: PLC0415 - matplotlib is heavy
    from robobrain.tasks.joystick.panel import Panel  # noqa: PLC0415
    from robobrain.tasks.joystick.replayed import RecordedBody, recorded_zones  # noqa: PLC0415

    t0_ms, t1_ms = float(moments[0]), float(moments[-1])
    with closing(Forelimb()) as body:
        limb = RecordedBody(run, body, t0_ms, t1_ms)
        with Renderer(body, *ARM_SIZE, camera=camera, zones=recorded_zones(run)) as renderer, styled():
            panel = Panel(run, *PANEL_SIZE, t0_ms=t0_ms, t1_ms=t1_ms, remark=remark)
            for t_ms in moments:
                limb.show(t_ms)
                yield np.concatenate([renderer.render(), panel.draw(t_ms)], axis=1)


def _open_writer(file: Path, fps: int) -> Any:
    try:
        import imageio.v2 as imageio  # noqa: PLC0415 - only films need it
        import imageio_ffmpeg  # noqa: F401, PLC0415 - the encoder
    except ImportError as error:
        raise RecordingError(f"Films need {error.name}. Fix: pip install 'robobrain[video]'.") from error
    return imageio.get_writer(file, fps=fps, codec="libx264", quality=7, ffmpeg_log_level="error")
