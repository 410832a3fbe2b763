"""Check that the schema in protos/ still understands clients and servers of the last released schema.

Usage: ``python scripts/check_compatibility.py [--release]``. Needs the ``dev`` extra (grpcio-tools).
``protos/released/MAJOR.MINOR/`` are copies of released schemas; ``--release`` adds one of the present
schema, under the version of the protocol. Within a major version fields, values and methods may be added,
never changed or taken away.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)
from grpc_tools import protoc

from robobrain.bridge.messages import PROTOCOL_VERSION

PROTOS = Path(__file__).resolve().parent.parent / "protos"
RELEASED = PROTOS / "released"

Parts = dict[str, str]
"""What the wire depends on: name of each part and its shape."""


def parts(folder: Path) -> Parts:
    """Return all fields, enum values and methods of the schema in ``folder``."""
    found: Parts = {}
    for file in _descriptors(folder).file:
        for message in file.message_type:
            found.update(_of_message(f"{file.package}.{message.name}", message))
        for enum in file.enum_type:
            found.update(_of_enum(f"{file.package}.{enum.name}", enum))
        for service in file.service:
            found.update(_of_service(f"{file.package}.{service.name}", service))
    return found


def _descriptors(folder: Path) -> FileDescriptorSet:
    sources = sorted(str(path) for path in folder.glob("robobrain/v1/*.proto"))
    with tempfile.NamedTemporaryFile() as file:
        if protoc.main(["protoc", f"-I{folder}", f"--descriptor_set_out={file.name}", *sources]) != 0:
            sys.exit(f"protoc failed on {folder}; its message is above")
        return FileDescriptorSet.FromString(Path(file.name).read_bytes())


def _of_message(name: str, message: DescriptorProto) -> Iterator[tuple[str, str]]:
    yield name, "message"
    oneofs = [oneof.name for oneof in message.oneof_decl]
    for field in message.field:
        kind = field.type_name or field.Type.Name(field.type)
        oneof = f" in {oneofs[field.oneof_index]}" if field.HasField("oneof_index") else ""
        label = field.Label.Name(field.label)
        yield f"{name}, field {field.number}", f"{field.name}: {label} {kind}{oneof}"
    for nested in message.nested_type:
        yield from _of_message(f"{name}.{nested.name}", nested)
    for enum in message.enum_type:
        yield from _of_enum(f"{name}.{enum.name}", enum)


def _of_enum(name: str, enum: EnumDescriptorProto) -> Iterator[tuple[str, str]]:
    for value in enum.value:
        yield f"{name}, value {value.number}", value.name


def _of_service(name: str, service: ServiceDescriptorProto) -> Iterator[tuple[str, str]]:
    for method in service.method:
        streams = ("stream " * method.client_streaming, "stream " * method.server_streaming)
        shape = f"{streams[0]}{method.input_type} -> {streams[1]}{method.output_type}"
        yield f"{name}.{method.name}", shape


def breaches(released: Parts, present: Parts) -> list[str]:
    """Return what of ``released`` the present schema took away or changed."""
    return [
        f"{name}: was '{shape}', is {repr(present[name]) if name in present else 'gone'}"
        for name, shape in released.items()
        if present.get(name) != shape
    ]


def last_released(major: str, folder: Path = RELEASED) -> Path | None:
    """Return the newest released schema of a major version, None before the first."""
    versions = [path for path in folder.iterdir() if path.name.partition(".")[0] == major]
    return max(versions, key=lambda path: int(path.name.partition(".")[2]), default=None)


def main() -> None:
    """Exit 1 where the schema breaks with the last released one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--release", action="store_true", help="keep a copy of the present schema as released"
    )
    if parser.parse_args().release:
        shutil.copytree(PROTOS / "robobrain", RELEASED / PROTOCOL_VERSION / "robobrain", dirs_exist_ok=False)
        return
    released = last_released(PROTOCOL_VERSION.partition(".")[0])
    if released is None:
        sys.exit("no schema of this major version was released; run with --release")
    if found := breaches(parts(released), parts(PROTOS)):
        sys.exit(
            f"the schema breaks with {released.name}:\n  " + "\n  ".join(found) + "\n"
            "Keep what was released and add beside it, or raise the major version of PROTOCOL_VERSION."
        )


if __name__ == "__main__":
    main()
