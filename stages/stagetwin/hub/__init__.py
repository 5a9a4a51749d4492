"""The hub: conditioning, the newest state of every channel, and the fate of every sample."""

from stagetwin.hub._counters import Rejections
from stagetwin.hub._hub import Changes, Fates, Hub
from stagetwin.hub._latest import ChannelParameters, Latest

__all__ = ["Changes", "ChannelParameters", "Fates", "Hub", "Latest", "Rejections"]
