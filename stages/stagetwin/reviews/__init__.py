"""Design review: topics pinned to prims, in the stage's `review` layer, by the service alone.

A viewer may have no more than Python and pxr (Omniverse Kit does) and shows topics: what
judges operations is loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from stagetwin.reviews._topic import Anchor, Comment, FrozenValue, Section, Topic, Viewpoint

if TYPE_CHECKING:
    from stagetwin.reviews._apply import ReviewConflictError
    from stagetwin.reviews._bcf import BcfExchange
    from stagetwin.reviews._desk import Judged, ReviewAccess, ReviewDesk
    from stagetwin.reviews._freeze import Freezer
    from stagetwin.reviews._links import Permalink, parse_permalink, permalink
    from stagetwin.reviews._merging import Plant
    from stagetwin.reviews._proposals import ProposalDesk

__all__ = [
    "Anchor",
    "BcfExchange",
    "Comment",
    "Freezer",
    "FrozenValue",
    "Judged",
    "Permalink",
    "Plant",
    "ProposalDesk",
    "ReviewAccess",
    "ReviewConflictError",
    "ReviewDesk",
    "Section",
    "Topic",
    "Viewpoint",
    "parse_permalink",
    "permalink",
]

_HOMES = {
    "BcfExchange": "_bcf",
    "Freezer": "_freeze",
    "Judged": "_desk",
    "Permalink": "_links",
    "Plant": "_merging",
    "ProposalDesk": "_proposals",
    "ReviewAccess": "_desk",
    "ReviewConflictError": "_apply",
    "ReviewDesk": "_desk",
    "parse_permalink": "_links",
    "permalink": "_links",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"stagetwin.reviews.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
