"""Tests that Kit itself runs (`omni.kit.test`)."""

from stagetwin_kit.tests.test_extension import TestExtension

__all__ = ["TestExtension"]
