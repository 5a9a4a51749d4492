"""Exceptions of stagetwin_bridges.

- StagetwinError (stagetwin)
  - ConnectionConfigError (stagetwin) an endpoint, option or credential is wrong
  - FieldError (stagetwin)            a field path or struct format is malformed
  - RealmError (stagetwin)            data of one realm would reach another
  - BridgeError
    - NotConnectedError               the other end does not answer, or refuses
      - RefusedError                  it refuses, and waiting will not change that
    - NamespaceError                  a server does not have the namespace of an address
    - BrokerError                     a local broker cannot be run
    - RecordingError                  a recorded file cannot be read
    - UnheardError                    a signal that is needed did not arrive in time
    - MessageError                    a message or a name breaks the rules of its standard
    - OrderError                      an order or an action cannot be given to a vehicle now
"""

from __future__ import annotations

from stagetwin import ConnectionConfigError, FieldError, RealmError, StagetwinError

__all__ = [
    "BridgeError",
    "BrokerError",
    "ConnectionConfigError",
    "FieldError",
    "MessageError",
    "NamespaceError",
    "NotConnectedError",
    "OrderError",
    "RealmError",
    "RecordingError",
    "RefusedError",
    "UnheardError",
]


class BridgeError(StagetwinError):
    """Root of what goes wrong between a twin and the world outside."""


class NotConnectedError(BridgeError):
    """The other end does not answer, or refuses; says why."""


class RefusedError(NotConnectedError):
    """The other end refuses a certificate, a user or a way to connect; waiting changes nothing."""


class NamespaceError(BridgeError):
    """A server does not have the namespace that an address names; says which it has."""


class BrokerError(BridgeError):
    """A local broker cannot be found, started or reached."""


class RecordingError(BridgeError):
    """A recorded file cannot be read, or has no column that tells the time."""


class UnheardError(BridgeError):
    """A signal that is needed did not arrive in time; says which."""


class MessageError(BridgeError):
    """A message or a name breaks the rules of its standard; names the field and what is allowed."""


class OrderError(BridgeError):
    """An order or an action cannot be given to a vehicle now; names the vehicle, and says why."""
