"""Exchange between owned and ghost atoms within a step: LAMMPS' hooks reach the evaluator."""

from __future__ import annotations

from pathlib import Path

import broken_plugins
import lammps_process as lmp
import many_body_toy as toy
import pytest
from broken_plugins import Fault

# An evaluator whose atoms send their IDs to their ghosts, which compare them with their own.
SEND_IDS = Fault(
    "evaluator.cpp",
    """int Evaluator::pack_forward(int, const int *, double *)
{
  return 0;
}

void Evaluator::unpack_forward(int, int, const double *) {}
""",
    """int Evaluator::pack_forward(int n, const int *list, double *buffer)
{
  for (int m = 0; m < n; m++) std::fill_n(buffer + FORWARD_SIZE * m, FORWARD_SIZE, atom->tag[list[m]]);
  return n * FORWARD_SIZE;
}

void Evaluator::unpack_forward(int n, int first, const double *buffer)
{
  for (int k = 0; k < n * FORWARD_SIZE; k++)
    if (buffer[k] != atom->tag[first + k / FORWARD_SIZE]) std::abort();
  std::fprintf(stderr, "received %d\\n", n);
}
""",
)
EXCHANGE = Fault(
    "local_evaluator.cpp",
    "  start_members(request);\n",
    "  comm->forward_comm(&task_.pair);\n  start_members(request);\n",
)


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("style", ["rhopot", "hybrid rhopot"])
def test_ghosts_receive_what_their_owners_send(
    many_body: Path, exchanging: Path, tmp_path: Path, ranks: int, style: str
) -> None:
    coefficients = style.replace("hybrid", "").strip() if "hybrid" in style else ""
    pair = f"pair_style {style}\npair_coeff * * {coefficients} {many_body} Li Si"
    script = lmp.setup(tmp_path, toy.crystal((2, 1, 1)), many_body, ["Li", "Si"], pair=pair)
    (tmp_path / "in.lmp").write_text(script + "run 0\n")
    command = [str(lmp.BIN / "mpirun"), "-np", str(ranks), lmp.binary(), "-in", "in.lmp"]
    done = lmp.start(command, tmp_path, broken_plugins.environment(exchanging))
    assert done.returncode == 0, done.stdout + done.stderr
    received = [int(line.split()[1]) for line in done.stderr.splitlines() if line.startswith("received ")]
    ghosts = [line for line in done.stdout.splitlines() if line.startswith("Nghost:")]
    assert sum(received) == round(float(ghosts[0].split()[1]) * ranks) > 0


@pytest.fixture(scope="module")
def exchanging(plugin_sources: broken_plugins.Sources, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exchanging")
    return plugin_sources.broken(folder / "plugin", SEND_IDS, EXCHANGE)
