"""stagetwin: the USD stage is the twin.

Importing the package registers its schema, which must happen before USD builds its schema
registry; `stagetwin check` says if that came too late.
"""

from stagetwin._data import factory_folder
from stagetwin._errors import (
    AccessError,
    AlarmError,
    BindingError,
    CommandError,
    ConnectionConfigError,
    FieldError,
    FrameError,
    LedgerDamagedError,
    LedgerError,
    MapError,
    NoRouteError,
    OwnershipError,
    PictureError,
    ProtocolNotFoundError,
    RealmError,
    ReviewError,
    ServiceError,
    SimulatorError,
    StageError,
    StagetwinError,
    SyncError,
    TemplateError,
    TransitionError,
    WireError,
    WireRangeError,
    WireTypeError,
)
from stagetwin._schema import is_registered, register, schema_folder

__all__ = [
    "AccessError",
    "AlarmError",
    "BindingError",
    "CommandError",
    "ConnectionConfigError",
    "FieldError",
    "FrameError",
    "LedgerDamagedError",
    "LedgerError",
    "MapError",
    "NoRouteError",
    "OwnershipError",
    "PictureError",
    "ProtocolNotFoundError",
    "RealmError",
    "ReviewError",
    "ServiceError",
    "SimulatorError",
    "StageError",
    "StagetwinError",
    "SyncError",
    "TemplateError",
    "TransitionError",
    "WireError",
    "WireRangeError",
    "WireTypeError",
    "factory_folder",
    "is_registered",
    "register",
    "schema_folder",
]

register()
