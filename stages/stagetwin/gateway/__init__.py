"""The gateway: browsers, shells and programs in, over HTTP and WebSocket.

A process of its own, kept by the service (`python -m stagetwin.gateway`). Passwords, sockets and
slow clients live here; the service is told who asks and judges every request by the same check.
Nothing in it loads a stage. The service imports no more of it than this module.
"""

from stagetwin.gateway import _wire as wire
from stagetwin.gateway._config import ListenConfig, parse_listen

__all__ = ["ListenConfig", "parse_listen", "wire"]
