"""The review layer as text, put together from its topics.

Writing a whole layer holds up whoever owns the stage for 0.1 s per thousand topics. The text of a
topic is kept until the topic changes, and the file is those texts in a row.
"""

from __future__ import annotations

from pxr import Sdf

from stagetwin.reviews._prims import ROOT

__all__ = ["LayerText"]


class LayerText:
    """Texts of the topics of one layer."""

    def __init__(self, layer: Sdf.Layer) -> None:
        self._layer = layer
        self._texts: dict[str, str] = {}
        self._changed: dict[str, Sdf.Path] = {}
        self._size = 0

    @property
    def size(self) -> int:
        """Length of all texts that were put together so far [characters]."""
        return self._size

    def changed(self, path: Sdf.Path) -> None:
        """Take note that a topic changed; its text is written anew when it is wanted."""
        self._changed[path.name] = path

    def parts(self, data: dict[str, str]) -> list[str]:
        """Return the file's content in parts, to be joined on any thread.

        Args:
            data: the layer's custom data; names and values hold no quotes.
        """
        for name, path in self._changed.items():
            text = str(self._layer.GetPrimAtPath(path).GetAsText())
            self._size += len(text) - len(self._texts.get(name, ""))
            self._texts[name] = text
        self._changed.clear()
        own = "\n".join(f'        string "{name}" = "{value}"' for name, value in data.items())
        head = f"#usda 1.0\n(\n    customLayerData = {{\n{own}\n    }}\n)\n"
        if not self._texts:
            return [head]
        return [head, f'\ndef Scope "{ROOT.name}"\n{{\n', *self._texts.values(), "}\n"]
