"""Each connection is an open file: the soft limit is often 1,024."""

from __future__ import annotations

import resource

__all__ = ["allow_open_files"]


def allow_open_files(count: int) -> int:
    """Raise this process's limit of open files, for it and what it starts; return the limit.

    Args:
        count: files that are needed; 100 are added for everything else.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 100
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft
