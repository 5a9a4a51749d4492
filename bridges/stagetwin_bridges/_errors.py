"""Exceptions of stagetwin_bridges.

- StagetwinError (stagetwin)
  - ConnectionConfigError (stagetwin) an endpoint, option or credential is wrong
  - FieldError (stagetwin)            a field path or struct format is malformed
  - RealmError (stagetwin)            data of one realm would reach another
  - BridgeError
    - NotConnectedError               the other end does not answer, or refuses
    - BrokerError                     a local broker cannot be run
    - RecordingError                  a recorded file cannot be read
"""

from __future__ import annotations

from stagetwin import ConnectionConfigError, FieldError, RealmError, StagetwinError

__all__ = [
    "BridgeError",
    "BrokerError",
    "ConnectionConfigError",
    "FieldError",
    "NotConnectedError",
    "RealmError",
    "RecordingError",
]


class BridgeError(StagetwinError):
    """Root of what goes wrong between a twin and the world outside."""


class NotConnectedError(BridgeError):
    """The other end does not answer, or refuses; says why."""


class BrokerError(BridgeError):
    """A local broker cannot be found, started or reached."""


class RecordingError(BridgeError):
    """A recorded file cannot be read, or has no column that tells the time."""
