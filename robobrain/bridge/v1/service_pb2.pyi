from robobrain.bridge.v1 import brain_pb2 as _brain_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OpenRequest(_message.Message):
    __slots__ = ("protocol_version", "client")
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    protocol_version: str
    client: str
    def __init__(self, protocol_version: _Optional[str] = ..., client: _Optional[str] = ...) -> None: ...

class Session(_message.Message):
    __slots__ = ("id", "lease_s", "description")
    ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_S_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    id: str
    lease_s: float
    description: _brain_pb2.Description
    def __init__(self, id: _Optional[str] = ..., lease_s: _Optional[float] = ..., description: _Optional[_Union[_brain_pb2.Description, _Mapping]] = ...) -> None: ...

class ReleaseRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReleaseReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ServerStatus(_message.Message):
    __slots__ = ("version", "protocol_version", "brain", "identity", "uptime_s", "lease_s", "seats")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    BRAIN_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    UPTIME_S_FIELD_NUMBER: _ClassVar[int]
    LEASE_S_FIELD_NUMBER: _ClassVar[int]
    SEATS_FIELD_NUMBER: _ClassVar[int]
    version: str
    protocol_version: str
    brain: str
    identity: str
    uptime_s: float
    lease_s: float
    seats: _containers.RepeatedCompositeFieldContainer[Seat]
    def __init__(self, version: _Optional[str] = ..., protocol_version: _Optional[str] = ..., brain: _Optional[str] = ..., identity: _Optional[str] = ..., uptime_s: _Optional[float] = ..., lease_s: _Optional[float] = ..., seats: _Optional[_Iterable[_Union[Seat, _Mapping]]] = ...) -> None: ...

class Seat(_message.Message):
    __slots__ = ("state", "phase", "fraction", "pid", "memory_mib", "client", "since_unix_s", "connected", "queue", "exchanges", "real_time_factor", "spikes_per_s", "faults", "last_fault")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Seat.State]
        STATE_BUILDING: _ClassVar[Seat.State]
        STATE_IDLE: _ClassVar[Seat.State]
        STATE_LEASED: _ClassVar[Seat.State]
        STATE_RETURNING: _ClassVar[Seat.State]
    STATE_UNSPECIFIED: Seat.State
    STATE_BUILDING: Seat.State
    STATE_IDLE: Seat.State
    STATE_LEASED: Seat.State
    STATE_RETURNING: Seat.State
    STATE_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    MEMORY_MIB_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    SINCE_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    EXCHANGES_FIELD_NUMBER: _ClassVar[int]
    REAL_TIME_FACTOR_FIELD_NUMBER: _ClassVar[int]
    SPIKES_PER_S_FIELD_NUMBER: _ClassVar[int]
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    LAST_FAULT_FIELD_NUMBER: _ClassVar[int]
    state: Seat.State
    phase: str
    fraction: float
    pid: int
    memory_mib: float
    client: str
    since_unix_s: float
    connected: bool
    queue: int
    exchanges: int
    real_time_factor: float
    spikes_per_s: float
    faults: int
    last_fault: str
    def __init__(self, state: _Optional[_Union[Seat.State, str]] = ..., phase: _Optional[str] = ..., fraction: _Optional[float] = ..., pid: _Optional[int] = ..., memory_mib: _Optional[float] = ..., client: _Optional[str] = ..., since_unix_s: _Optional[float] = ..., connected: _Optional[bool] = ..., queue: _Optional[int] = ..., exchanges: _Optional[int] = ..., real_time_factor: _Optional[float] = ..., spikes_per_s: _Optional[float] = ..., faults: _Optional[int] = ..., last_fault: _Optional[str] = ...) -> None: ...

class ShutdownRequest(_message.Message):
    __slots__ = ("even_if_leased",)
    EVEN_IF_LEASED_FIELD_NUMBER: _ClassVar[int]
    even_if_leased: bool
    def __init__(self, even_if_leased: _Optional[bool] = ...) -> None: ...

class ShutdownReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
