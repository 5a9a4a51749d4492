"""Signals as columns: samples, quality, conditioning and the newest value of every channel."""

from stagetwin.signals._quality import Quality, Status, quality_of
from stagetwin.signals._samples import SampleBuffer, Samples, empty_samples

__all__ = ["Quality", "SampleBuffer", "Samples", "Status", "empty_samples", "quality_of"]
