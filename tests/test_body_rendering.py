"""Pictures: they show the arm, its muscles' activation, zones and force, and fail with advice."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from robobrain.body import Forelimb, Renderer, Zone
from robobrain.body.rig import CAMERAS
from robobrain.errors import ConfigurationError

SIZE = (160, 120)


@pytest.fixture(scope="module")
def body() -> Forelimb:
    return Forelimb()


@pytest.fixture(scope="module")
def renderer(body: Forelimb) -> Iterator[Renderer]:
    try:
        made = Renderer(body, *SIZE, camera="close")
    except ConfigurationError as error:
        pytest.skip(str(error))
    with made:
        yield made


def redness(picture: np.ndarray) -> float:
    """Return how much more red than green and blue a picture is, in the mean."""
    values = picture.astype(float)
    return float((values[..., 0] - values[..., 1:].mean(axis=-1)).mean())


def test_every_camera_sees_something_else(body: Forelimb, renderer: Renderer) -> None:
    body.reset()
    pictures = []
    for name in CAMERAS:
        renderer.camera = name
        pictures.append(renderer.render())
    renderer.camera = "close"
    for picture in pictures:
        assert picture.shape == (120, 160, 3)
        assert picture.dtype == np.uint8
        assert picture.std() > 20
    assert len({picture.tobytes() for picture in pictures}) == len(CAMERAS)


def test_muscles_redden_with_activation(body: Forelimb, renderer: Renderer) -> None:
    body.reset()
    relaxed = renderer.render()
    body.data.act[:] = 1.0
    active = renderer.render()
    changed = (relaxed != active).any(axis=-1)
    assert changed.mean() > 0.005
    assert redness(active[changed]) > redness(relaxed[changed]) + 20


def test_zones_and_force_are_drawn(body: Forelimb, renderer: Renderer) -> None:
    body.reset()
    plain = renderer.render()
    renderer.zones = (Zone(lateral_mm=(-1, 1), pull_mm=(-10, -7), rgba=(0, 1, 0, 1)),)
    zone = renderer.render()
    renderer.zones = ()
    assert (plain != zone).any()
    body.advance(np.full(8, 0.02), 0.5, lateral_force_mN=40.0)
    arrow = renderer.render()
    yellow = (arrow[..., 0] > 150) & (arrow[..., 2] < 60)
    assert yellow.sum() > (plain[..., 0] > 150)[plain[..., 2] < 60].sum() + 10


def test_depth_is_in_metres(body: Forelimb, renderer: Renderer) -> None:
    body.reset()
    depth = renderer.render(depth=True)
    assert depth.shape == (120, 160)
    assert depth.dtype == np.float32
    place, target, _ = CAMERAS["close"]
    distance_m = np.linalg.norm(np.subtract(place, target)) * 1e-3
    assert depth.min() == pytest.approx(distance_m, rel=0.4)


def test_rendering_does_not_move_the_body(body: Forelimb, renderer: Renderer) -> None:
    body.reset()
    before = body.get_state()
    renderer.render()
    assert np.array_equal(body.get_state(), before)


def test_wrong_wishes_are_refused(body: Forelimb, renderer: Renderer) -> None:
    with pytest.raises(ConfigurationError, match="overview"):
        renderer.camera = "behind"
    with pytest.raises(ConfigurationError, match="pixels"):
        Renderer(body, 100_000, 100)
    closed = Renderer(body, *SIZE)
    closed.close()
    closed.close()
    with pytest.raises(ConfigurationError, match="closed"):
        closed.render()


def test_without_opengl_the_error_names_the_packages() -> None:
    code = (
        "import os; os.environ.pop('DISPLAY', None); os.environ['MUJOCO_GL'] = ''\n"
        "import sys; sys.modules['mujoco.egl'] = sys.modules['mujoco.osmesa'] = None\n"
        "from robobrain.body import Forelimb, Renderer\n"
        "from robobrain.errors import ConfigurationError\n"
        "try: Renderer(Forelimb())\n"
        "except ConfigurationError as error: sys.exit('libegl1' not in str(error))\n"
        "sys.exit(2)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
