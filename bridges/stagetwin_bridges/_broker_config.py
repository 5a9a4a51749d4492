"""Configuration files of local brokers. They hold passwords and lie in a folder of mode 0700."""

from __future__ import annotations

import base64
import getpass
import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["BrokerFiles", "mosquitto_config", "nats_config"]

_ROUNDS = 101
"""Rounds of PBKDF2 in mosquitto's password files; the passwords are long and random."""

_REPLIES = "stagetwin/reply/#"
_VEHICLES = ("connection", "factsheet", "state")
"""What fleet control hears of vehicles (VDA 5050) on the way down."""
_MOSQUITTO_RIGHTS = {
    # '#' does not stand for topics that begin with '$'.
    "publisher": ("write #",),
    "subscriber": ("read #", "read $SYS/#"),
    "commander": (
        "write #",
        f"read {_REPLIES}",
        *(f"read +/+/+/+/{topic}" for topic in _VEHICLES),
    ),
    "device": ("readwrite #",),
}
_NATS_RIGHTS: dict[str, dict[str, Any]] = {
    "publisher": {"publish": {"allow": [">"]}, "subscribe": {"deny": [">"]}},
    # Acknowledgements of QoS 1 travel as messages of the server's own.
    "subscriber": {"publish": {"deny": [">"]}, "subscribe": {"allow": [">"]}},
    "commander": {
        "publish": {"allow": [">"], "deny": ["$SYS.>"]},
        "subscribe": {
            "allow": [
                _REPLIES.replace("/", ".").replace("#", ">"),
                *(f"*.*.*.*.{topic}" for topic in _VEHICLES),
            ]
        },
    },
    "device": {"publish": {"allow": [">"], "deny": ["$SYS.>"]}, "subscribe": {"allow": [">"]}},
}


@dataclass(frozen=True, slots=True)
class BrokerFiles:
    """PEM files of an encrypted listener.

    Attributes:
        ca_file: authority that clients trust.
        cert_file: the broker's certificate.
        key_file: its private key.
        client_ca_file: authority whose certificates clients must present; empty asks for none.
    """

    ca_file: str
    cert_file: str
    key_file: str
    client_ca_file: str = ""


def _write(path: Path, text: str) -> Path:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    return path


def _hashed(password: str) -> str:
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ROUNDS)
    coded = (base64.b64encode(part).decode() for part in (salt, digest))
    return f"$7${_ROUNDS}${'$'.join(coded)}"


def mosquitto_config(
    folder: Path,
    port: int,
    passwords: Mapping[str, str],
    tls: BrokerFiles | None,
    settings: Mapping[str, str],
) -> Path:
    """Write mosquitto's configuration and return its path."""
    users = "".join(f"{user}:{_hashed(word)}\n" for user, word in passwords.items())
    acl = "".join(
        f"user {user}\n" + "".join(f"topic {right}\n" for right in rights) + "\n"
        for user, rights in _MOSQUITTO_RIGHTS.items()
    )
    lines = {
        "listener": f"{port} 127.0.0.1",
        "allow_anonymous": "false",
        "password_file": str(_write(folder / "passwords", users)),
        "acl_file": str(_write(folder / "acl", acl)),
        # As root it would become another user, who cannot read this folder.
        "user": getpass.getuser(),
        "persistence": "false",
        "set_tcp_nodelay": "true",
        # A number, not 0: without a limit, several releases stop delivering.
        "max_queued_messages": "100000",
        "max_inflight_messages": "1000",
        "log_dest": "stderr",
    }
    if tls is not None:
        lines |= {"cafile": tls.ca_file, "certfile": tls.cert_file, "keyfile": tls.key_file}
        if tls.client_ca_file:
            lines |= {"cafile": tls.client_ca_file, "require_certificate": "true"}
    lines |= settings
    text = "".join(f"{name} {value}\n" for name, value in lines.items())
    text += "log_type error\nlog_type warning\n"
    return _write(folder / "mosquitto.conf", text)


def nats_config(
    folder: Path,
    port: int,
    passwords: Mapping[str, str],
    tls: BrokerFiles | None,
    settings: Mapping[str, str],
) -> Path:
    """Write nats-server's configuration and return its path."""
    listener: dict[str, Any] = {"listen": f"127.0.0.1:{port}"}
    if tls is not None:
        listener["tls"] = {"cert_file": tls.cert_file, "key_file": tls.key_file}
        if tls.client_ca_file:
            listener["tls"] |= {"ca_file": tls.client_ca_file, "verify": True}
    config = {
        "server_name": "stagetwin",
        "listen": "127.0.0.1:-1",
        "jetstream": {"store_dir": str(folder / "jetstream")},
        "mqtt": listener,
        "authorization": {
            "users": [
                {"user": user, "password": word, "permissions": _NATS_RIGHTS[user]}
                for user, word in passwords.items()
            ]
        },
        **settings,
    }
    # Its configuration language is a superset of JSON.
    return _write(folder / "nats.json", json.dumps(config))
