"""Makes the helpers of this folder, and the labelled structures of the fits, importable by the tests."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "least_squares")]
