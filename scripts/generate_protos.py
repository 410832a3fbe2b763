"""Generate the protobuf modules of robobrain.bridge.v1 from protos/, or check that they are up to date.

Usage: ``python scripts/generate_protos.py [--check]``. Needs the ``dev`` extra (grpcio-tools).
"""

from __future__ import annotations

import argparse
import importlib.resources
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
STUBS = ROOT / "robobrain" / "bridge" / "v1"
PACKAGE_MARKER = '"""Generated protobuf modules: change protos/ and run scripts/generate_protos.py."""\n'


def generated() -> dict[str, str]:
    """Return the text of each generated module by file name."""
    sources = sorted(PROTOS.glob("robobrain/v1/*.proto"))
    services = [source for source in sources if "\nservice " in source.read_text()]
    with tempfile.TemporaryDirectory() as folder:
        _compile([f"--python_out={folder}", f"--pyi_out={folder}"], sources)
        if services:
            _compile([f"--grpc_python_out={folder}"], services)
        modules = sorted((Path(folder) / "robobrain" / "v1").iterdir())
        texts = {module.name: _relocated(module.read_text()) for module in modules}
    return {"__init__.py": PACKAGE_MARKER, **texts}


def _compile(outputs: list[str], sources: list[Path]) -> None:
    well_known = importlib.resources.files("grpc_tools") / "_proto"
    arguments = ["protoc", f"-I{PROTOS}", f"-I{well_known}", *outputs, *map(str, sources)]
    if protoc.main(arguments) != 0:
        sys.exit("protoc failed; its message is above")


def _relocated(text: str) -> str:
    """Point imports at robobrain.bridge.v1: protoc derives them from the protobuf package."""
    return text.replace("from robobrain.v1 import", "from robobrain.bridge.v1 import")


def stale(modules: dict[str, str]) -> list[str]:
    """Return the names of committed modules that are missing, differ, or are no longer generated."""
    committed = {path.name: path.read_text() for path in STUBS.glob("*.py*") if path.is_file()}
    names = modules.keys() | committed.keys()
    return sorted(name for name in names if modules.get(name) != committed.get(name))


def main() -> None:
    """Write the modules, or exit 1 when ``--check`` finds them out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 if a module is out of date"
    )
    check = parser.parse_args().check
    modules = generated()
    outdated = stale(modules)
    if check and outdated:
        sys.exit(f"out of date in {STUBS}: {', '.join(outdated)}. Run scripts/generate_protos.py.")
    for name in [] if check else outdated:
        if name in modules:
            (STUBS / name).write_text(modules[name])
        else:
            (STUBS / name).unlink()


if __name__ == "__main__":
    main()
