"""Entry point of a simulator's process; the service starts it."""

import sys

from stagetwin_sim.host import main

sys.exit(main())
