"""`make flights`: see examples/flights/run.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from examples.flights.run import main

sys.exit(main())
