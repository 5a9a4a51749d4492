"""The live view for other commands: follow a service, and show it on a terminal."""

from stagetwin.cli._model import Reading, Signal, WatchModel
from stagetwin.cli._screen import Feed, Screen

__all__ = ["Feed", "Reading", "Screen", "Signal", "WatchModel"]
