from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ResetMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESET_METHOD_UNSPECIFIED: _ClassVar[ResetMethod]
    RESET_METHOD_COPY: _ClassVar[ResetMethod]
    RESET_METHOD_REINITIALISATION: _ClassVar[ResetMethod]

class FaultCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FAULT_CODE_UNSPECIFIED: _ClassVar[FaultCode]
    FAULT_CODE_CONFIGURATION: _ClassVar[FaultCode]
    FAULT_CODE_PROTOCOL: _ClassVar[FaultCode]
    FAULT_CODE_EPISODE_LOST: _ClassVar[FaultCode]
    FAULT_CODE_BRAIN_LOST: _ClassVar[FaultCode]
    FAULT_CODE_SNAPSHOT: _ClassVar[FaultCode]
RESET_METHOD_UNSPECIFIED: ResetMethod
RESET_METHOD_COPY: ResetMethod
RESET_METHOD_REINITIALISATION: ResetMethod
FAULT_CODE_UNSPECIFIED: FaultCode
FAULT_CODE_CONFIGURATION: FaultCode
FAULT_CODE_PROTOCOL: FaultCode
FAULT_CODE_EPISODE_LOST: FaultCode
FAULT_CODE_BRAIN_LOST: FaultCode
FAULT_CODE_SNAPSHOT: FaultCode

class Request(_message.Message):
    __slots__ = ("id", "describe", "reset", "step", "shutdown", "collect", "configure", "snapshot", "restore", "drop", "list_snapshots")
    ID_FIELD_NUMBER: _ClassVar[int]
    DESCRIBE_FIELD_NUMBER: _ClassVar[int]
    RESET_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    SHUTDOWN_FIELD_NUMBER: _ClassVar[int]
    COLLECT_FIELD_NUMBER: _ClassVar[int]
    CONFIGURE_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    RESTORE_FIELD_NUMBER: _ClassVar[int]
    DROP_FIELD_NUMBER: _ClassVar[int]
    LIST_SNAPSHOTS_FIELD_NUMBER: _ClassVar[int]
    id: int
    describe: Describe
    reset: Reset
    step: Step
    shutdown: Shutdown
    collect: Collect
    configure: Configure
    snapshot: Snapshot
    restore: Restore
    drop: Drop
    list_snapshots: ListSnapshots
    def __init__(self, id: _Optional[int] = ..., describe: _Optional[_Union[Describe, _Mapping]] = ..., reset: _Optional[_Union[Reset, _Mapping]] = ..., step: _Optional[_Union[Step, _Mapping]] = ..., shutdown: _Optional[_Union[Shutdown, _Mapping]] = ..., collect: _Optional[_Union[Collect, _Mapping]] = ..., configure: _Optional[_Union[Configure, _Mapping]] = ..., snapshot: _Optional[_Union[Snapshot, _Mapping]] = ..., restore: _Optional[_Union[Restore, _Mapping]] = ..., drop: _Optional[_Union[Drop, _Mapping]] = ..., list_snapshots: _Optional[_Union[ListSnapshots, _Mapping]] = ...) -> None: ...

class Reply(_message.Message):
    __slots__ = ("id", "progress", "description", "readings", "fault", "snapshots")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    READINGS_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOTS_FIELD_NUMBER: _ClassVar[int]
    id: int
    progress: Progress
    description: Description
    readings: Readings
    fault: Fault
    snapshots: Snapshots
    def __init__(self, id: _Optional[int] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., description: _Optional[_Union[Description, _Mapping]] = ..., readings: _Optional[_Union[Readings, _Mapping]] = ..., fault: _Optional[_Union[Fault, _Mapping]] = ..., snapshots: _Optional[_Union[Snapshots, _Mapping]] = ...) -> None: ...

class Describe(_message.Message):
    __slots__ = ("protocol_version",)
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    protocol_version: str
    def __init__(self, protocol_version: _Optional[str] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("phase", "fraction")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    phase: str
    fraction: float
    def __init__(self, phase: _Optional[str] = ..., fraction: _Optional[float] = ...) -> None: ...

class Port(_message.Message):
    __slots__ = ("name", "unit", "channels", "low", "high", "description")
    NAME_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    unit: str
    channels: _containers.RepeatedScalarFieldContainer[str]
    low: float
    high: float
    description: str
    def __init__(self, name: _Optional[str] = ..., unit: _Optional[str] = ..., channels: _Optional[_Iterable[str]] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., description: _Optional[str] = ...) -> None: ...

class PopulationInfo(_message.Message):
    __slots__ = ("name", "region", "first_id", "size")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    FIRST_ID_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    name: str
    region: str
    first_id: int
    size: int
    def __init__(self, name: _Optional[str] = ..., region: _Optional[str] = ..., first_id: _Optional[int] = ..., size: _Optional[int] = ...) -> None: ...

class BuildPhase(_message.Message):
    __slots__ = ("name", "duration_ms")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    name: str
    duration_ms: float
    def __init__(self, name: _Optional[str] = ..., duration_ms: _Optional[float] = ...) -> None: ...

class Description(_message.Message):
    __slots__ = ("protocol_version", "identity", "brain", "nest_version", "ranks", "threads", "resolution_ms", "exchange_ms", "settle_ms", "neurons", "synapses", "inputs", "outputs", "populations", "build", "histories", "snapshot_limit", "resets", "neuron_models")
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    BRAIN_FIELD_NUMBER: _ClassVar[int]
    NEST_VERSION_FIELD_NUMBER: _ClassVar[int]
    RANKS_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_MS_FIELD_NUMBER: _ClassVar[int]
    EXCHANGE_MS_FIELD_NUMBER: _ClassVar[int]
    SETTLE_MS_FIELD_NUMBER: _ClassVar[int]
    NEURONS_FIELD_NUMBER: _ClassVar[int]
    SYNAPSES_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    POPULATIONS_FIELD_NUMBER: _ClassVar[int]
    BUILD_FIELD_NUMBER: _ClassVar[int]
    HISTORIES_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_LIMIT_FIELD_NUMBER: _ClassVar[int]
    RESETS_FIELD_NUMBER: _ClassVar[int]
    NEURON_MODELS_FIELD_NUMBER: _ClassVar[int]
    protocol_version: str
    identity: str
    brain: str
    nest_version: str
    ranks: int
    threads: int
    resolution_ms: float
    exchange_ms: float
    settle_ms: float
    neurons: int
    synapses: int
    inputs: _containers.RepeatedCompositeFieldContainer[Port]
    outputs: _containers.RepeatedCompositeFieldContainer[Port]
    populations: _containers.RepeatedCompositeFieldContainer[PopulationInfo]
    build: _containers.RepeatedCompositeFieldContainer[BuildPhase]
    histories: _containers.RepeatedCompositeFieldContainer[History]
    snapshot_limit: int
    resets: ResetMethod
    neuron_models: str
    def __init__(self, protocol_version: _Optional[str] = ..., identity: _Optional[str] = ..., brain: _Optional[str] = ..., nest_version: _Optional[str] = ..., ranks: _Optional[int] = ..., threads: _Optional[int] = ..., resolution_ms: _Optional[float] = ..., exchange_ms: _Optional[float] = ..., settle_ms: _Optional[float] = ..., neurons: _Optional[int] = ..., synapses: _Optional[int] = ..., inputs: _Optional[_Iterable[_Union[Port, _Mapping]]] = ..., outputs: _Optional[_Iterable[_Union[Port, _Mapping]]] = ..., populations: _Optional[_Iterable[_Union[PopulationInfo, _Mapping]]] = ..., build: _Optional[_Iterable[_Union[BuildPhase, _Mapping]]] = ..., histories: _Optional[_Iterable[_Union[History, _Mapping]]] = ..., snapshot_limit: _Optional[int] = ..., resets: _Optional[_Union[ResetMethod, str]] = ..., neuron_models: _Optional[str] = ...) -> None: ...

class History(_message.Message):
    __slots__ = ("name", "unit", "columns", "interval_ms", "description")
    NAME_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    unit: str
    columns: _containers.RepeatedScalarFieldContainer[str]
    interval_ms: float
    description: str
    def __init__(self, name: _Optional[str] = ..., unit: _Optional[str] = ..., columns: _Optional[_Iterable[str]] = ..., interval_ms: _Optional[float] = ..., description: _Optional[str] = ...) -> None: ...

class Configure(_message.Message):
    __slots__ = ("devices",)
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    devices: str
    def __init__(self, devices: _Optional[str] = ...) -> None: ...

class Reset(_message.Message):
    __slots__ = ("seed",)
    SEED_FIELD_NUMBER: _ClassVar[int]
    seed: int
    def __init__(self, seed: _Optional[int] = ...) -> None: ...

class Step(_message.Message):
    __slots__ = ("seq", "t_ms", "inputs")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    T_MS_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    seq: int
    t_ms: float
    inputs: bytes
    def __init__(self, seq: _Optional[int] = ..., t_ms: _Optional[float] = ..., inputs: _Optional[bytes] = ...) -> None: ...

class Collect(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Restore(_message.Message):
    __slots__ = ("snapshot", "seed", "silence")
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    SILENCE_FIELD_NUMBER: _ClassVar[int]
    snapshot: int
    seed: int
    silence: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, snapshot: _Optional[int] = ..., seed: _Optional[int] = ..., silence: _Optional[_Iterable[str]] = ...) -> None: ...

class Drop(_message.Message):
    __slots__ = ("snapshot",)
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    snapshot: int
    def __init__(self, snapshot: _Optional[int] = ...) -> None: ...

class ListSnapshots(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SnapshotInfo(_message.Message):
    __slots__ = ("id", "parent", "seq", "t_ms", "seed", "restores", "pid", "private_bytes", "shared_bytes")
    ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    T_MS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    RESTORES_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    PRIVATE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHARED_BYTES_FIELD_NUMBER: _ClassVar[int]
    id: int
    parent: int
    seq: int
    t_ms: float
    seed: int
    restores: int
    pid: int
    private_bytes: int
    shared_bytes: int
    def __init__(self, id: _Optional[int] = ..., parent: _Optional[int] = ..., seq: _Optional[int] = ..., t_ms: _Optional[float] = ..., seed: _Optional[int] = ..., restores: _Optional[int] = ..., pid: _Optional[int] = ..., private_bytes: _Optional[int] = ..., shared_bytes: _Optional[int] = ...) -> None: ...

class Snapshots(_message.Message):
    __slots__ = ("held", "taken", "evicted")
    HELD_FIELD_NUMBER: _ClassVar[int]
    TAKEN_FIELD_NUMBER: _ClassVar[int]
    EVICTED_FIELD_NUMBER: _ClassVar[int]
    held: _containers.RepeatedCompositeFieldContainer[SnapshotInfo]
    taken: int
    evicted: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, held: _Optional[_Iterable[_Union[SnapshotInfo, _Mapping]]] = ..., taken: _Optional[int] = ..., evicted: _Optional[_Iterable[int]] = ...) -> None: ...

class Readings(_message.Message):
    __slots__ = ("seq", "t_ms", "outputs", "spikes", "timing", "samples")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    T_MS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    SPIKES_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    seq: int
    t_ms: float
    outputs: bytes
    spikes: Spikes
    timing: Timing
    samples: _containers.RepeatedCompositeFieldContainer[Samples]
    def __init__(self, seq: _Optional[int] = ..., t_ms: _Optional[float] = ..., outputs: _Optional[bytes] = ..., spikes: _Optional[_Union[Spikes, _Mapping]] = ..., timing: _Optional[_Union[Timing, _Mapping]] = ..., samples: _Optional[_Iterable[_Union[Samples, _Mapping]]] = ...) -> None: ...

class Samples(_message.Message):
    __slots__ = ("monitor", "t_ms", "values")
    MONITOR_FIELD_NUMBER: _ClassVar[int]
    T_MS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    monitor: str
    t_ms: bytes
    values: bytes
    def __init__(self, monitor: _Optional[str] = ..., t_ms: _Optional[bytes] = ..., values: _Optional[bytes] = ...) -> None: ...

class Spikes(_message.Message):
    __slots__ = ("t_ms", "sender")
    T_MS_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    t_ms: bytes
    sender: bytes
    def __init__(self, t_ms: _Optional[bytes] = ..., sender: _Optional[bytes] = ...) -> None: ...

class Timing(_message.Message):
    __slots__ = ("encode_ms", "run_ms", "decode_ms", "wait_ms")
    ENCODE_MS_FIELD_NUMBER: _ClassVar[int]
    RUN_MS_FIELD_NUMBER: _ClassVar[int]
    DECODE_MS_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    encode_ms: float
    run_ms: float
    decode_ms: float
    wait_ms: float
    def __init__(self, encode_ms: _Optional[float] = ..., run_ms: _Optional[float] = ..., decode_ms: _Optional[float] = ..., wait_ms: _Optional[float] = ...) -> None: ...

class Fault(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: FaultCode
    message: str
    def __init__(self, code: _Optional[_Union[FaultCode, str]] = ..., message: _Optional[str] = ...) -> None: ...

class Shutdown(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
