"""A policy as one signed file."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import math
import os
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from stagetwin_sim._errors import BundleError, PolicyError
from stagetwin_sim.policies._keys import SigningKey, VerifyKey
from stagetwin_sim.policies._spec import PolicySpec

__all__ = ["Bundle"]

FORMAT = 1
MANIFEST, SPEC, MODEL, REPORT, SIGNATURE = (
    "manifest.json",
    "policy.json",
    "model.onnx",
    "report.json",
    "signature.json",
)
_ORDER = (MANIFEST, SPEC, MODEL, REPORT, SIGNATURE)
_MOST_BYTES = 256 * 2**20


class _Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is signed: the digests of all else."""

    format: int
    files: dict[str, str]


class _Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    algorithm: str
    key: str
    signature: str


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A policy, what its numbers mean, and who vouches for it.

    Attributes:
        spec: what it is.
        model: the network, as the bytes of an ONNX file.
        report: of its training, as the bytes of a JSON object; empty for none.
        signer: id of the key that signed it; empty for none.
        trusted: whether the signature was checked against a key that is trusted.
        signature: Ed25519 of the manifest; empty for none.
    """

    spec: PolicySpec
    model: bytes
    report: bytes = b""
    signer: str = ""
    trusted: bool = False
    signature: bytes = field(default=b"", repr=False)

    # -- content

    @property
    def manifest(self) -> bytes:
        """What is signed."""
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in self._signed().items()}
        return _json({"format": FORMAT, "files": digests})

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest: it names this content and no other."""
        return hashlib.sha256(self.manifest).hexdigest()

    def _signed(self) -> Mapping[str, bytes]:
        entries = {SPEC: _spec_json(self.spec), MODEL: self.model}
        return {**entries, REPORT: self.report} if self.report else entries

    def encode(self) -> bytes:
        """Return the file: the same bytes for the same content."""
        entries = {MANIFEST: self.manifest, **self._signed()}
        if self.signature:
            entries[SIGNATURE] = _json(
                {
                    "algorithm": "Ed25519",
                    "key": self.signer,
                    "signature": base64.b64encode(self.signature).decode(),
                }
            )
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
            for name in _ORDER:
                if name in entries:
                    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                    info.create_system, info.external_attr = 3, 0o644 << 16
                    archive.writestr(info, entries[name])
        return made.getvalue()

    # -- writing

    def sign(self, key: SigningKey) -> Bundle:
        """Return it with a signature in place of the one it had."""
        signature = key.sign(self.manifest)
        return replace(self, signer=key.public.id, trusted=True, signature=signature)

    def write(self, path: str | os.PathLike[str], key: SigningKey | None = None) -> Path:
        """Write it, whole or not at all.

        Args:
            path: of the file.
            key: to sign with; None writes it as it is.
        """
        file = Path(path)
        data = (self.sign(key) if key is not None else self).encode()
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as made:
            made.write(data)
        Path(made.name).chmod(0o644)
        Path(made.name).replace(file)
        return file

    # -- reading

    @classmethod
    def read(
        cls,
        path: str | os.PathLike[str],
        trusted_keys: Iterable[VerifyKey] = (),
        *,
        unsigned: bool = False,
    ) -> Bundle:
        """Read and check a file.

        Args:
            path: of the file.
            trusted_keys: one of them must have signed it.
            unsigned: take it whoever signed it or did not; `trusted` says whether a key is known.
                For looking at one, and for signing it.

        Raises:
            BundleError: it is damaged, unsigned, or signed by none of the keys.
        """
        try:
            if (size := Path(path).stat().st_size) > _MOST_BYTES:
                raise BundleError(f"{path}: a bundle has at most {_MOST_BYTES} bytes, got {size}")
            data = Path(path).read_bytes()
        except OSError as error:
            raise BundleError(f"{path}: cannot be read ({error.strerror or error})") from None
        return cls.decode(data, trusted_keys, unsigned=unsigned, name=str(path))

    @classmethod
    def decode(
        cls,
        data: bytes,
        trusted_keys: Iterable[VerifyKey] = (),
        *,
        unsigned: bool = False,
        name: str = "bundle",
    ) -> Bundle:
        """Check the bytes of a file; see `read`."""
        entries = _entries(data, name)
        bundle = _of_entries(entries, name)
        # Every byte follows from the content: a file that differs anywhere is not what was signed.
        if bundle.encode() != data:
            raise BundleError(f"{name}: damaged: its bytes are not those of its content")
        keys = {key.id: key for key in trusted_keys}
        key = keys.get(bundle.signer)
        known = key is not None and key.holds(bundle.signature, bundle.manifest)
        if key is not None and not known:
            raise BundleError(f"{name}: the signature of {bundle.signer} does not hold")
        if not known and not unsigned:
            trusted = ", ".join(sorted(keys)) or "none"
            signed = f"signed by {bundle.signer}" if bundle.signer else "not signed"
            raise BundleError(f"{name}: {signed}; trusted keys: {trusted}")
        return replace(bundle, trusted=known)


def _entries(data: bytes, name: str) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            if len(set(names)) != len(names) or not set(names) <= set(_ORDER):
                raise BundleError(f"{name}: damaged: entries are {', '.join(_ORDER)}, got {names}")
            if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
                raise BundleError(f"{name}: damaged: its entries are not compressed")
            return {one: archive.read(one) for one in names}
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, NotImplementedError, RuntimeError):
        raise BundleError(f"{name}: damaged: no such archive") from None


def _of_entries(entries: Mapping[str, bytes], name: str) -> Bundle:
    try:
        manifest = msgspec.json.decode(entries[MANIFEST], type=_Manifest)
        if manifest.format != FORMAT:
            raise BundleError(f"{name}: format {FORMAT} is known, got {manifest.format}")
        for entry in sorted({*manifest.files, *entries} - {MANIFEST, SIGNATURE}):
            digest = hashlib.sha256(entries.get(entry, b"")).hexdigest()
            if entry not in entries or manifest.files.get(entry) != digest:
                raise BundleError(f"{name}: damaged: {entry} is not what the manifest says")
        spec = msgspec.json.decode(entries[SPEC], type=PolicySpec)
        signature, signer = b"", ""
        if SIGNATURE in entries:
            said = msgspec.json.decode(entries[SIGNATURE], type=_Signature)
            signature, signer = base64.b64decode(said.signature, validate=True), said.key
        return Bundle(
            spec=spec,
            model=entries[MODEL],
            report=entries.get(REPORT, b""),
            signer=signer,
            signature=signature,
        )
    except KeyError as error:
        raise BundleError(f"{name}: damaged: no entry {error}") from None
    except (msgspec.MsgspecError, binascii.Error, PolicyError, UnicodeDecodeError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(f"{name}: {error}") from None


def _json(content: object) -> bytes:
    return json.dumps(content, sort_keys=True, indent=1).encode() + b"\n"


def _spec_json(spec: PolicySpec) -> bytes:
    return _json(_finite(msgspec.to_builtins(spec)))


def _finite(content: Any) -> Any:
    """Return content without infinite numbers: JSON has none, and they are their defaults."""
    if isinstance(content, Mapping):
        return {
            name: _finite(value)
            for name, value in content.items()
            if not (isinstance(value, float) and math.isinf(value))
        }
    return [_finite(value) for value in content] if isinstance(content, (list, tuple)) else content
