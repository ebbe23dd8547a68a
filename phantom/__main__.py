"""``python -m phantom`` is the command ``phantom``."""

import sys

from phantom.cli import main

sys.exit(main())
