"""Exceptions of stagetwin.

- StagetwinError
  - StageError            a stage cannot be opened, read or written
  - PictureError          a picture cannot be drawn
  - BindingError          one binding is wrong; names the prim and what is allowed
    - TemplateError       an address template does not resolve
    - FieldError          a field path or struct format is malformed
  - ConnectionConfigError an endpoint, option or credential is wrong
  - ProtocolNotFoundError no installed bridge speaks the scheme of an endpoint
  - MapError              a map cannot be read or written, or has nothing of the name asked for
    - NoRouteError        no way leads from one place of a map to another
  - OwnershipError        a stage or layer was touched by a thread that does not own it
  - RealmError            data of one realm would reach another
  - WireError             a wire value cannot become the attribute's value
    - WireTypeError       it is of another type
    - WireRangeError      the type or the limits cannot hold it
  - ServiceError          a running service refused or cannot be reached
    - AccessError         whoever asks may not do that there, or is not who they say
    - AlarmError          no such alarm, or it cannot be acknowledged or shelved so
    - CommandError        a request for a command is malformed, unknown or not allowed here
    - ReviewError         an operation on a review is malformed, outdated or not allowed
    - SimulatorError      a simulator is not there, refused a question or did not answer in time
  - SyncError             what a mirror and the service say to each other cannot be understood
    - FrameError          a binary frame is torn, or of another protocol
  - TransitionError       a command cannot go from its state to the one asked for
  - LedgerError           the commands' ledger is owned by another, damaged or cannot be written
    - LedgerDamagedError  its content is not what was written, or cannot be read or written
"""

from __future__ import annotations

import re

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
]


class StagetwinError(Exception):
    """Root of every error that stagetwin raises on purpose."""


class StageError(StagetwinError):
    """A stage or layer cannot be opened, read or written."""


class PictureError(StagetwinError):
    """A picture cannot be drawn: what is asked for is not there, or the browser fails."""


class BindingError(StagetwinError):
    """One binding is wrong. The others run."""


class TemplateError(BindingError):
    """An address template is malformed or names something its prim does not have."""


class FieldError(BindingError):
    """A field path or struct format is malformed."""


class ConnectionConfigError(StagetwinError):
    """An endpoint, one of its options, or its credential is wrong."""


class ProtocolNotFoundError(ConnectionConfigError):
    """No installed bridge speaks the scheme of an endpoint."""


class MapError(StagetwinError):
    """A map cannot be read or written, or it has nothing of the name asked for."""


class NoRouteError(MapError):
    """No way leads from one place of a map to another; names both, and what is closed."""


class OwnershipError(StagetwinError):
    """A stage or layer was touched by a thread that does not own it."""


class RealmError(StagetwinError):
    """Data of one realm would reach another."""


class ServiceError(StagetwinError):
    """A running service refused a request or cannot be reached."""


class CommandError(ServiceError):
    """A request for a command is malformed, names no command, or is not allowed here."""


class AccessError(ServiceError):
    """Whoever asks may not do that there, or is not who they say."""


class AlarmError(ServiceError):
    """There is no such alarm, or it cannot be acknowledged or shelved so."""


class ReviewError(ServiceError):
    """An operation on a review is malformed, outdated, or not allowed."""


class SimulatorError(ServiceError):
    """A simulator is not there, refused a question or did not answer in time.

    Attributes:
        code: short stable name, as in `stagetwin.simulation.wire.Fault`; besides `gone` and
            `over-budget`.
    """

    def __init__(self, text: str, code: str = "failed") -> None:
        super().__init__(text)
        self.code = code


class SyncError(StagetwinError):
    """What a mirror and the service say to each other cannot be understood."""


class FrameError(SyncError):
    """A binary frame is torn, or of another protocol."""


class TransitionError(StagetwinError):
    """A command cannot go from its state to the one asked for."""


class LedgerError(StagetwinError):
    """The commands' ledger is owned by another process, damaged, or cannot be written."""


class LedgerDamagedError(LedgerError):
    """A ledger's content is not what was written, or cannot be read or written."""


class WireError(StagetwinError):
    """A wire value cannot become the attribute's value."""


class WireTypeError(WireError):
    """A wire value is not of the channel's type; the message says what was expected and got."""


class WireRangeError(WireError):
    """A wire value is outside what the attribute's type or limits can hold."""


_USD_PREFIX = re.compile(r"^\s*Error in '.*?' at line \d+ in file \S+ : '(.*)'\s*$", re.MULTILINE)


def usd_message(error: BaseException | str) -> str:
    """Return what USD says of a failure, without where in its own source it says so."""
    text = str(error)
    said = _USD_PREFIX.findall(text)
    return "; ".join(said) if said else " ".join(text.split())
