"""Entry point of a bridge process; the service starts it."""

import sys

from stagetwin.host import main

sys.exit(main())
