"""Packed neurons: NEST's own, with their state close together, as an extension module of NEST.

An update of NEST's neurons spends most of its time waiting for memory. The packed ones compute the same,
operation by operation, from a few times less of it: spikes and potentials are equal to the last bit. The
module is C++ and belongs to one build of NEST, so it is compiled where it is used (``robobrain brain
compile``); without it a brain is built from NEST's own neurons.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from robobrain.errors import ConfigurationError, choices

MODELS: Final = {
    "iaf_psc_alpha": "iaf_psc_alpha_packed",
    "iaf_psc_exp": "iaf_psc_exp_packed",
    "iaf_psc_alpha_multisynapse": "iaf_psc_alpha_multisynapse_packed",
    "parrot_neuron": "parrot_neuron_packed",
}
"""NEST's models and the packed ones that compute the same."""

SYNAPSE: Final = "static_synapse_packed"
"""Model of a brain's synapses: NEST's ``static_synapse`` in half of its memory, or a copy of it."""
COUNTER: Final = "spike_counter_packed"
"""Model of a node that counts the spikes it gets, where they can be read past NEST."""
RATE_SOURCE: Final = "rate_source_packed"
"""Model of NEST's inhomogeneous_poisson_generator with a rate that is written past NEST."""
RECORDED: Final = "recorded"
"""Parameter of a packed neuron: whether it logs its spikes."""
SENDER_BITS: Final = 32
"""Bits of a logged spike that hold the neuron's identifier; those above hold the step."""

_SOURCES: Final = Path(__file__).parent / "nest_module"
_NAME: Final = "robobrainmodule"
_FLAGS: Final = ("-std=c++20", "-O3", "-DNDEBUG", "-fopenmp", "-fPIC")
_OLD_STRINGS: Final = b"_ZN4nest14install_moduleERKSs"
"""A function of a NEST whose strings are of the C++ library's old layout, as in its published wheels."""
_ENDS: Final = 2**16
"""Bytes at the beginning and at the end of NEST's library that tell one build from another."""
_loaded: Final[set[Path]] = set()
_COMPILE_S: Final = 600.0
_CHECK_S: Final = 600.0


class NeuronModels(StrEnum):
    """Which neurons a brain is built from; its spikes do not depend on it."""

    PACKED = "packed"
    NEST = "nest"


def module_path() -> Path | None:
    """Return the compiled module for this NEST and this version of robobrain; None if there is none."""
    kernel = _kernel_file()
    path = None if kernel is None else _place(kernel) / f"{_NAME}.so"
    return path if path is not None and path.is_file() else None


def neuron_models(wanted: str | None) -> NeuronModels:
    """Return the neurons to build from: those ``wanted``, or packed ones where they are compiled.

    Raises:
        ConfigurationError: The name is unknown, or packed neurons are not compiled.
    """
    if wanted is None:
        return NeuronModels.NEST if module_path() is None else NeuronModels.PACKED
    if wanted not in list(NeuronModels):
        raise ConfigurationError(
            f"unknown neurons {wanted!r:.40}; use one of: {choices(wanted, NeuronModels)}"
        )
    if wanted == NeuronModels.PACKED and module_path() is None:
        raise ConfigurationError(
            "packed neurons are not compiled for this NEST; run 'robobrain brain compile', or use NEST's own"
        )
    return NeuronModels(wanted)


def compile_module() -> Path:
    """Compile the module for this NEST, check its spikes against NEST's own neurons, and return where it is.

    Raises:
        ConfigurationError: There is no NEST or no compiler, the place can't be written, or the module does
            not compile or does not fire as NEST's neurons do; then there is none.
    """
    kernel = _kernel_file()
    if kernel is None:
        raise ConfigurationError("NEST is not installed here; install nest-simulator")
    place = _place(kernel)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as work:
            made = _compile(kernel, Path(work))
            _check(made)
            place.mkdir(exist_ok=True)
            return made.replace(place / made.name)
    except OSError as error:
        raise ConfigurationError(f"packed neurons can't be compiled to {place.parent}: {error}") from None


def load(nest: Any, module: Path) -> None:
    """Load the module into the kernel, before there are any nodes.

    Raises:
        ConfigurationError: This process has loaded another one; its parts would be taken for this one's.
    """
    if _loaded - {module}:
        raise ConfigurationError("other packed neurons were loaded in this process before; start a new one")
    nest.Install(str(module))
    _loaded.add(module)


def _kernel_file() -> Path | None:
    """Return the library with NEST's kernel, None if there is none; NEST is not imported for it."""
    spec = importlib.util.find_spec("nest")
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted(Path(spec.origin).parent.glob("nestkernel_api*.so"))), None)


def _place(kernel: Path) -> Path:
    """Return the folder of the module for this NEST and these sources, in the Python environment of both."""
    digest = hashlib.sha256(repr((kernel.stat().st_size, _FLAGS)).encode())
    with kernel.open("rb") as library:
        digest.update(library.read(_ENDS))
        library.seek(-_ENDS, os.SEEK_END)
        digest.update(library.read())
    for source in sorted(_SOURCES.iterdir()):
        digest.update(source.read_bytes())
    return Path(sys.prefix) / "lib" / "robobrain" / digest.hexdigest()[:16]


def _compile(kernel: Path, folder: Path) -> Path:
    places = (kernel.parent / "include" / "nest", Path(sys.prefix) / "include" / "nest")
    headers = next((place for place in places if (place / "nest_extension_interface.h").is_file()), None)
    if headers is None:
        raise ConfigurationError(f"NEST's C++ headers are neither in {places[0]} nor in {places[1]}")
    compiler = _compiler(with_mpi="#define HAVE_MPI 1" in (headers / "config.h").read_text(encoding="utf-8"))
    strings = ["-D_GLIBCXX_USE_CXX11_ABI=0"] if _OLD_STRINGS in kernel.read_bytes() else []
    objects, module = folder / f"{_NAME}.o", folder / f"{_NAME}.so"
    source = str(_SOURCES / f"{_NAME}.cpp")
    _run(
        [*compiler, *_FLAGS, *strings, "-isystem", str(headers), "-c", source, "-o", str(objects)], _COMPILE_S
    )
    # Linked without OpenMP: NEST has loaded its own, and a second one would count threads anew.
    _run([*compiler, "-shared", str(objects), "-o", str(module)], _COMPILE_S)
    return module


def _compiler(*, with_mpi: bool) -> list[str]:
    variable, usual = ("MPICXX", "mpicxx") if with_mpi else ("CXX", "g++")
    words = shlex.split(os.environ.get(variable, "")) or [usual]
    if shutil.which(words[0]) is None:
        package = "libopenmpi-dev and g++" if with_mpi else "g++"
        raise ConfigurationError(
            f"no C++ compiler {words[0]} found; install {package}, or name one in the variable {variable}"
        )
    return words


def _check(module: Path) -> None:
    """Compare the spikes in a process of its own: a module that does not fit could end it."""
    _run([sys.executable, "-m", "robobrain.brain.packed_check", str(module)], _CHECK_S)


def _run(command: list[str], timeout_s: float) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"packed neurons can't be compiled: {error}") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        said = "\n".join([line for line in lines if "error" in line][:4] or lines[-8:])
        raise ConfigurationError(
            f"packed neurons can't be compiled; {Path(command[0]).name} ended with {done.returncode}:\n{said}"
        )
