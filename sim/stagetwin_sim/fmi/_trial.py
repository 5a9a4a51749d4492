"""A trial of FMUs in a process of their own, so that one that crashes does so there.

The child says which FMU it is at; the one that it fell over is left out, and another child goes on.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from stagetwin_sim.fmi._fmu import Fmu

__all__ = ["trial"]

_results: dict[str, str] = {}
_PROGRAM = "from stagetwin_sim.fmi._trial import main; main()"


def trial(fmus: Sequence[Fmu], frame: float, timeout: float = 120.0) -> Mapping[str, str]:
    """Start each FMU and do a step with it; return why one is not to be loaded, by digest.

    Args:
        fmus: which; each content is tried once in a process's life.
        frame: length of a step where the FMU says nothing [s].
        timeout: for all of them [s].
    """
    left = {f.digest: f for f in fmus if f.digest not in _results}
    while left:
        asked = [[str(f.folder), str(f.path), f.digest] for f in left.values()]
        command = [sys.executable, "-c", _PROGRAM]
        given = json.dumps({"frame": frame, "fmus": asked})
        try:
            done = subprocess.run(
                command, input=given, capture_output=True, text=True, timeout=timeout, check=False
            )
            code, said = done.returncode, done.stdout
        except subprocess.TimeoutExpired as error:
            code, said = None, (error.stdout or b"").decode()
        at = ""
        for line in said.splitlines():
            word, _, digest = line.partition(" ")
            if word == "at":
                at = digest
            elif word == "done" and digest == at:
                _results[at] = ""
                left.pop(at, None)
                at = ""
        if at not in left:  # it did all of them, or never came to the first
            at = next(iter(left), "")
        if at:
            how = f"hung for {timeout:g} s" if code is None else f"ended its process ({code})"
            _results[at] = f"{left.pop(at).path}: in a trial it {how}"
    return {f.digest: _results[f.digest] for f in fmus}


def main() -> None:
    """Try the FMUs that standard input names; in the child."""
    from stagetwin_sim.fmi._fmu import read_folder
    from stagetwin_sim.fmi._instance import Instance
    from stagetwin_sim.fmi._system import FmuUnit

    asked = json.loads(sys.stdin.read())
    for folder, path, digest in asked["fmus"]:
        sys.stdout.write(f"at {digest}\n")
        sys.stdout.flush()
        fmu = read_folder(Path(folder), Path(path), digest)
        instance = Instance(FmuUnit(place=path, fmu=fmu), 0, [], [])
        instance.advance(fmu.step or asked["frame"], 1)
        instance.close()
        # A refusal is no crash: it is met, and told, where the prim's own parameters are set.
        sys.stdout.write(f"\ndone {digest}\n")
        sys.stdout.flush()
