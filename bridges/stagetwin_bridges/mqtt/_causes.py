"""Why a connection is not there, in words for an operator."""

from __future__ import annotations

import socket
import ssl
from typing import Any

__all__ = ["cause_of_end", "cause_of_failure", "cause_of_refusal"]


def cause_of_failure(error: Exception, host: str, port: int, timeout: float) -> tuple[str, bool]:
    """Return why a connection could not be made, and whether that will not heal by itself."""
    where = f"{host}:{port}"
    match error:
        case ssl.SSLCertVerificationError():
            return f"certificate verify failed: {error.verify_message}", True
        case ssl.SSLError():
            return f"TLS with {where} failed: {error.reason or error}", True
        case TimeoutError():
            return f"no answer from {where} within {timeout:g} s", False
        case socket.gaierror():
            return f"host name {host!r} is not known: {error.strerror}", False
        case ConnectionRefusedError():
            return f"nothing listens at {where} (connection refused)", False
    return f"cannot reach {where}: {error}", False


def cause_of_refusal(reason: Any, version: str) -> str:
    """Return why the broker did not accept, from the reason code of its CONNACK."""
    said = f"refused: {str(reason).lower()}"
    if version == "5" and "protocol version" in said:
        said += "; a broker of MQTT 3.1.1 needs ?version=3.1.1"
    return said


def cause_of_end(reason: Any, by_broker: bool, online: bool) -> tuple[str, bool]:
    """Return why a connection ended, and whether that will not heal by itself."""
    said = str(reason).lower()
    if by_broker:
        return f"the broker ended the connection: {said}", "author" in said
    if "keep alive" in said:
        return "connection lost: no answer to a ping", False
    if "protocol" in said or "malformed" in said:
        return "connection ended: the other side broke the rules of MQTT", False
    return "connection lost" if online else "closed before it was accepted", False
