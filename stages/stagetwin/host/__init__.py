"""A bridge in a process of its own, and the frames between it and the service.

Nothing here loads USD: a bridge needs none, and every connection has a process.
"""

from stagetwin.host import _wire as wire
from stagetwin.host._logging import configure_logging
from stagetwin.host._process import PipeSink, main

__all__ = ["PipeSink", "configure_logging", "main", "wire"]
