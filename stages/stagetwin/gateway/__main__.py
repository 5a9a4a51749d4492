"""Entry point of the gateway's process; the service starts it."""

import sys

from stagetwin.gateway._process import main

sys.exit(main())
