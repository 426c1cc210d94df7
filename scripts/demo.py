"""`make demo`: see examples/orders/demo.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from examples.orders.demo import main

sys.exit(main())
