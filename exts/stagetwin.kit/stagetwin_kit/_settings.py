"""Settings of the extension, read once when a connection is made."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

import carb.settings

__all__ = ["Settings", "read_token"]

_ROOT = "/exts/stagetwin.kit"


@dataclass(frozen=True, slots=True)
class Settings:
    """What `config/extension.toml` and the application's settings say.

    Attributes:
        url: where the service listens.
        token_file: file with the bearer token.
        ca_file: certificate authority of the service; empty for the system's.
        prims: prims that are followed.
        rate: frames a second asked for [Hz].
        auto_connect: whether to connect as soon as a stage is open.
    """

    url: str
    token_file: str
    ca_file: str
    prims: tuple[str, ...]
    rate: float
    auto_connect: bool

    @classmethod
    def read(cls) -> Settings:
        """Read them as they are now."""
        settings = carb.settings.get_settings()

        def of(name: str, default: object) -> object:
            value = settings.get(f"{_ROOT}/{name}")
            return default if value is None else value

        prims = of("prims", ("/",))
        return cls(
            url=str(of("url", "")),
            token_file=str(of("tokenFile", "")),
            ca_file=str(of("caFile", "")),
            prims=tuple(map(str, prims)) if isinstance(prims, (list, tuple)) else ("/",),
            rate=float(str(of("rate", 30.0))),
            auto_connect=bool(of("autoConnect", False)),
        )


def read_token(path: str) -> str:
    """Return the token of a file, empty where none is named.

    Raises:
        PermissionError: others than its owner can read it.
        OSError: it cannot be read.
    """
    if not path:
        return ""
    file = Path(path).expanduser()
    if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise PermissionError(f"{file} must be readable by its owner alone (chmod 600)")
    return file.read_text(encoding="utf-8").strip()
