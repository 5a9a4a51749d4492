"""Keys that sign bundles: Ed25519.

Source: Josefsson and Liusvaara, Edwards-Curve Digital Signature Algorithm (EdDSA), RFC 8032, 2017.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from stagetwin_sim._errors import BundleError

__all__ = ["SigningKey", "VerifyKey", "load_trusted"]


class VerifyKey:
    """The public half: whoever has it can tell whether a bundle is its owner's.

    Attributes:
        id: first 16 hexadecimal digits of the SHA-256 of its 32 bytes.
    """

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key
        raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.id = hashlib.sha256(raw).hexdigest()[:16]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> VerifyKey:
        """Read it from a PEM file.

        Raises:
            BundleError: it is none.
        """
        try:
            key = serialization.load_pem_public_key(Path(path).read_bytes())
        except (OSError, ValueError) as error:
            raise BundleError(f"{path}: no public key can be read ({error})") from None
        if not isinstance(key, Ed25519PublicKey):
            raise BundleError(f"{path}: a key is Ed25519, got {type(key).__name__}")
        return cls(key)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as PEM."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        Path(path).write_bytes(self._key.public_bytes(serialization.Encoding.PEM, form))

    def holds(self, signature: bytes, message: bytes) -> bool:
        """Tell whether the owner of this key signed a message."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class SigningKey:
    """The private half; its file is readable by its owner alone.

    Attributes:
        public: the other half.
    """

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = VerifyKey(key.public_key())

    def __repr__(self) -> str:
        return f"SigningKey(id={self.public.id!r})"

    @classmethod
    def make(cls) -> SigningKey:
        """Make a new one from the system's random numbers."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SigningKey:
        """Read it from a PEM file.

        Raises:
            BundleError: it is none, or others may read the file.
        """
        file = Path(path)
        try:
            if file.stat().st_mode & 0o077:
                raise BundleError(f"{path}: a private key is readable by its owner alone (0600)")
            key = serialization.load_pem_private_key(file.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise BundleError(f"{path}: no private key can be read ({error})") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise BundleError(f"{path}: a key is Ed25519, got {type(key).__name__}")
        return cls(key)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as PEM, with mode 0600.

        Raises:
            BundleError: there is a file already; keys are never written over.
        """
        data = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise BundleError(f"{path}: a key cannot be written ({error.strerror})") from None
        with os.fdopen(handle, "wb") as file:
            file.write(data)

    def sign(self, message: bytes) -> bytes:
        """Return the signature, 64 bytes."""
        return self._key.sign(message)


def load_trusted(paths: Iterable[str | os.PathLike[str]]) -> list[VerifyKey]:
    """Read public keys from files, and from all `*.pub.pem` of folders.

    Raises:
        BundleError: one cannot be read, or a folder has none.
    """
    keys: list[VerifyKey] = []
    for path in map(Path, paths):
        if not path.is_dir():
            keys.append(VerifyKey.load(path))
            continue
        files = sorted(path.glob("*.pub.pem"))
        if not files:
            raise BundleError(f"{path}: no public keys (*.pub.pem) in this folder")
        keys += [VerifyKey.load(file) for file in files]
    return keys
