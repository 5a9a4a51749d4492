"""The twin in Omniverse Kit: a live stage, a window beside it, and drafts that become commands."""

from stagetwin_kit.extension import TwinExtension

__all__ = ["TwinExtension"]
