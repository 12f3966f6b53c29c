"""`python -m mario` is `mario`."""

import sys

from mario.cli.app import main

sys.exit(main())
