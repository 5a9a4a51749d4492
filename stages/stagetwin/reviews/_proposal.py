"""A layout proposal: a layer of edits, what it was made on, what became of it. One file each."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pxr import Sdf, Tf

from stagetwin._errors import ReviewError, usd_message
from stagetwin.reviews._fields import Field, fields_of, fragment, parse_layer, read, values_of

__all__ = ["Done", "Proposal"]

_KEY = "stagetwin:proposal"
MAX_SEEN = 500


@dataclass(frozen=True, slots=True)
class Done:
    """What a merge changed, so that it can be undone.

    Attributes:
        approver: who merged.
        time: when [s, Unix].
        before: usda text of what the fields were.
        after: of what the merge made of them.
        fields: which fields; one that is in neither text was, or became, nothing.
        created: specs that the merge created.
    """

    approver: str
    time: float
    before: str
    after: str
    fields: tuple[Field, ...]
    created: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """One proposal; docs/reviews.md says what each field means.

    Attributes:
        born: id of the operation that made it.
        prim: what it is about, as its author said.
        edits: usda text of the layer.
        ground: usda text of what the site said at the fields that the edits touch.
        known: prims that it touches and did not add.
        taken: of prims that it takes out, the hash of what the site said below them.
        seen: operations that were taken: id and digest.
        done: what its merge changed; None before.
    """

    id: str
    born: str
    title: str
    author: str
    created: float
    changed: float
    base: str
    description: str = ""
    prim: str = "/"
    status: str = "draft"
    revision: int = 1
    reason: str = ""
    edits: str = ""
    ground: str = ""
    known: tuple[str, ...] = ()
    taken: tuple[tuple[str, str], ...] = ()
    seen: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    done: Done | None = None

    def theirs(self) -> dict[Field, Any]:
        """Return what the proposal says, by field."""
        layer = parse_layer(self.edits)
        return values_of(layer, fields_of(layer))

    def base_values(self, fields: list[Field]) -> dict[Field, Any]:
        """Return what the site said when the proposal touched some fields."""
        layer = parse_layer(self.ground)
        return {each: read(layer, each) for each in fields}

    def prims(self) -> tuple[str, ...]:
        """Return the prims that it touches; what it is about while it touches none."""
        return tuple(sorted({each.prim for each in fields_of(parse_layer(self.edits))})) or (
            self.prim,
        )

    def with_seen(self, operation: str, digest: str) -> Proposal:
        """Return it with one more operation taken."""
        return replace(self, seen=(*self.seen, (operation, digest))[-MAX_SEEN:])

    def text(self) -> str:
        """Return the proposal as the usda text of its file: a layer that any tool opens."""
        layer = parse_layer(self.edits)
        own = asdict(self)
        del own["edits"]
        layer.customLayerData = {_KEY: json.dumps(own, separators=(",", ":"))}
        text: str = layer.ExportToString()
        return text

    @classmethod
    def load(cls, path: Path) -> Proposal:
        """Return the proposal of a file.

        Raises:
            ReviewError: that is none.
        """
        try:
            layer = Sdf.Layer.OpenAsAnonymous(str(path))
            own = json.loads(layer.customLayerData[_KEY])
            data = dict(layer.customLayerData)
            del data[_KEY]
            layer.customLayerData = data
            if not data:
                layer.pseudoRoot.ClearInfo("customLayerData")
            if own["done"] is not None:
                done = own["done"]
                done["fields"] = tuple(Field(*each) for each in done["fields"])
                done["created"] = tuple(done["created"])
                own["done"] = Done(**done)
            for name in ("known", "taken", "seen"):
                own[name] = tuple(tuple(e) if isinstance(e, list) else e for e in own[name])
            return cls(**own, edits=layer.ExportToString())
        except (Tf.ErrorException, LookupError, TypeError, ValueError) as error:
            raise ReviewError(usd_message(error)) from None


def ground_of(site: Sdf.Layer, fields: list[Field], known: dict[Field, Any]) -> str:
    """Return the usda text of what a site says at fields, as it was where that is known."""
    return fragment({each: known[each] if each in known else read(site, each) for each in fields})
