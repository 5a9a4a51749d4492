"""A headless Chromium for one page: started with nothing of the user's, and always ended."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from stagetwin._errors import PictureError

__all__ = ["Browser", "find_browser"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_PLACES = ("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",)
_HOW = "apt-get install chromium, dnf install chromium or brew install --cask chromium"

_FLAGS = (
    "--headless",
    # Drawn by the processor, the same everywhere.
    "--disable-gpu",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-dev-shm-usage",
    "--force-device-scale-factor=1",
    "--force-color-profile=srgb",
    # Nothing leaves this host.
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-quic",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-pings",
    "--disable-breakpad",
    "--password-store=basic",
    "--use-mock-keychain",
    # Chromium ends when the pipe closes, so also when we are killed.
    "--remote-debugging-pipe",
)
_GRACE = 2.0
"""Time for the processes to end after a signal [s]."""

_WORDS = 1_500


def find_browser(named: Path | None = None) -> str:
    """Return the program to draw with.

    Raises:
        PictureError: there is none; says how to get one.
    """
    if named is not None:
        found = shutil.which(named)
        if found is None:
            raise PictureError(f"there is no program {named}")
        return found
    for name in (*_NAMES, *_PLACES):
        found = shutil.which(name)
        if found is not None:
            return found
    raise PictureError(
        f"a picture is drawn by Chromium, and none is on the PATH; get it by {_HOW}, or name one"
    )


class Browser:
    """Chromium in a session of its own, with a profile that is thrown away.

    Args:
        program: Chromium.
        sandbox: whether its sandbox is used; None is yes, except for root.

    Raises:
        PictureError: it cannot be started.
    """

    def __init__(self, program: str, sandbox: bool | None = None) -> None:
        self._profile = tempfile.mkdtemp(prefix="stagetwin-picture-")
        self._errors = Path(self._profile, "stderr.txt")
        self._heard = b""
        flags = [*_FLAGS, f"--user-data-dir={self._profile}"]
        if sandbox is False or (sandbox is None and os.geteuid() == 0):
            flags.append("--no-sandbox")
        theirs_in, self._write = os.pipe()
        self._read, theirs_out = os.pipe()
        try:
            # The shell puts the pipes where Chromium looks for them, and becomes Chromium.
            script = 'exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null'
            with open(self._errors, "wb") as errors:
                self._process = subprocess.Popen(
                    ["/bin/sh", "-c", script, program, *flags, "about:blank"],
                    stdin=theirs_in,
                    stdout=theirs_out,
                    stderr=errors,
                    start_new_session=True,
                )
        except OSError as error:
            self._forget()
            raise PictureError(f"{program} cannot be started: {error.strerror}") from None
        finally:
            os.close(theirs_in)
            os.close(theirs_out)

    def open(self, url: str) -> None:
        """Open a page; over the pipe, for other users can read a program's arguments."""
        order = {"id": 1, "method": "Target.createTarget", "params": {"url": url}}
        # One that has ended already says so when it is asked.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._write, json.dumps(order).encode() + b"\0")

    def refusal(self) -> str:
        """Return why the page could not be opened; empty while nothing says so."""
        while select.select([self._read], [], [], 0)[0]:
            told = os.read(self._read, 65_536)
            if not told:
                break
            self._heard += told
        for message in self._heard.split(b"\0")[:-1]:
            answer = json.loads(message)
            if "error" in answer:
                return str(answer["error"].get("message", answer["error"]))
        return ""

    @property
    def ended(self) -> bool:
        """Whether it has gone by itself."""
        return self._process.poll() is not None

    def words(self) -> str:
        """Return the end of what it said on its standard error."""
        with contextlib.suppress(OSError):
            lines = self._errors.read_text(errors="replace").splitlines()
            told = [line for line in lines if "dbus" not in line and line.strip()]
            return "\n".join(told)[-_WORDS:]
        return ""

    def close(self) -> None:
        """End it and all its processes, and throw its profile away."""
        group = self._process.pid
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, number)
            if self._is_over(group):
                break
        self._process.wait()
        self._forget()

    def _is_over(self, group: int) -> bool:
        for _ in _moments(_GRACE):
            self._process.poll()
            try:
                os.killpg(group, 0)
            except ProcessLookupError:
                return True
        return False

    def _forget(self) -> None:
        os.close(self._write)
        os.close(self._read)
        shutil.rmtree(self._profile, ignore_errors=True)


def _moments(limit: float) -> Iterator[None]:
    stop = time.monotonic() + limit
    while time.monotonic() < stop:
        yield
        time.sleep(0.02)
