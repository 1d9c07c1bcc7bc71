"""`python -m agent` is the program `iis-spn`."""

import sys

from agent.cli.program import main

sys.exit(main())
