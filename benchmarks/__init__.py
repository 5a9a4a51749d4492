"""Benchmarks: each checks its result before it reports a time, beside its peers in one process.

Run one with `python -m benchmarks.NAME`; the last line it prints is JSON.
"""
