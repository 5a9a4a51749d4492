"""stagetwin_bridges: how a twin talks to the world.

Each protocol is a subpackage behind an entry point of the group `stagetwin.bridges`; `broker` runs
a broker on this host for demos and tests, `recording` plays recorded data, `fields` reads the field
paths that all payloads share.
"""

from stagetwin_bridges._errors import (
    BridgeError,
    BrokerError,
    ConnectionConfigError,
    FieldError,
    NotConnectedError,
    RealmError,
    RecordingError,
)

__all__ = [
    "BridgeError",
    "BrokerError",
    "ConnectionConfigError",
    "FieldError",
    "NotConnectedError",
    "RealmError",
    "RecordingError",
]
