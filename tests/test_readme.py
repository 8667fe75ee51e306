"""The README's blocks run as they stand, in a copy of the folder they speak of."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]


def test_the_blocks_of_the_readme_run(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"<!-- executed by tests/test_readme.py -->\n```bash\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 1
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", blocks[0]],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "run1" / "model.pt").exists()
    assert "eV +-" in done.stdout
    assert done.stdout.count("Loop time of") == 2


def test_links_of_the_readme_exist() -> None:
    text = re.sub(r"`[^`]*`", "", (ROOT / "README.md").read_text(encoding="utf-8"))  # formulas are not links
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", text) if not target.startswith("http")]
    assert len(targets) >= 8
    assert [target for target in targets if not (ROOT / target.partition("#")[0]).exists()] == []
