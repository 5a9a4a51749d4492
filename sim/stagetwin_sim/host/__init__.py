"""The models of a stage in a process of their own: `python -m stagetwin_sim.host`.

The service starts it and speaks to it by `stagetwin.simulation.wire`: beside the machine it steps
with the clock, ahead of it it answers questions about futures.
"""

from __future__ import annotations

import os

from stagetwin.host import configure_logging
from stagetwin.simulation import Line

__all__ = ["main"]


def main() -> int:
    """Run until the service closes its end; returns the exit status."""
    configure_logging(
        os.environ.get("STAGETWIN_LOG", "text"), os.environ.get("STAGETWIN_LEVEL", "INFO")
    )
    line = Line.standard()
    try:
        # On a machine with much to do USD and Warp may load for longer than silence is borne.
        with line.busy():
            from stagetwin_sim._quiet import begin_quietly

            begin_quietly()
            from stagetwin_sim.host._host import Host

        Host(line).run()
    except KeyboardInterrupt:
        # Ctrl-C reaches the whole process group; the service closes the input in its own time.
        pass
    finally:
        line.close()
    return 0
