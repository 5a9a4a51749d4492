"""Entry point of a device process; see stagetwin_bridges.devices."""

import sys

from stagetwin_bridges.devices._process import main

sys.exit(main(sys.argv[1:]))
