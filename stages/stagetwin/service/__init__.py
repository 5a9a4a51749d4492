"""The headless service: bridges as processes, one live stage, a control socket, metrics."""

from stagetwin.service._config import (
    ServiceConfig,
    default_socket,
    default_state_dir,
    load_credentials,
)
from stagetwin.service._control import ControlClient
from stagetwin.service._service import Service
from stagetwin.service._snapshot import write_snapshot

__all__ = [
    "ControlClient",
    "Service",
    "ServiceConfig",
    "default_socket",
    "default_state_dir",
    "load_credentials",
    "write_snapshot",
]
