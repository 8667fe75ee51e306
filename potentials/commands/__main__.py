"""`python -m rhopot.potentials.commands`: the same as `rhopot`."""

import sys

from rhopot.potentials.commands import main

sys.exit(main())
