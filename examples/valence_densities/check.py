"""The pseudo-atoms beside PySCF's molecular Kohn-Sham program, and beside the densities that the tests of rhopot read.

Total energies of closed shells in the same basis; radial densities with the settings of `fit.py`.

python check.py
"""

import json
import warnings
from pathlib import Path

import numpy as np
from fit import radial_density
from pseudo_atom import PseudoAtom, Solver, read_pseudopotential
from pyscf import dft, gto

ATOMS = {"He": 2, "Be": 4, "Ne": 8, "Ar": 8, "Zn": 12}
SOLVER = Solver(smallest_exponent=0.03, largest_exponent=60.0, exponent_ratio=2.0)
GRID_LEVEL = 6
TOLERANCE = 1e-7  # Hartree: the molecular program's grid
REFERENCES = Path(__file__).resolve().parents[2] / "tests" / "data" / "valence_references.json"
SAME = 1e-3  # relative, for a density


def molecular_energy(symbol: str, n_electrons: int, n_channels: int) -> float:
    """Total energy in Hartree from PySCF with the even-tempered basis of SOLVER for l < n_channels."""
    ratio = np.log(SOLVER.exponent_ratio)
    n = int(np.ceil(np.log(SOLVER.largest_exponent / SOLVER.smallest_exponent) / ratio)) + 1
    exponents = SOLVER.smallest_exponent * SOLVER.exponent_ratio ** np.arange(n)
    basis = [[degree, [float(a), 1.0]] for degree in range(n_channels) for a in exponents]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # PySCF announces its own missing integral names
        atom = gto.M(
            atom=f"{symbol} 0 0 0", basis={symbol: basis}, pseudo={symbol: f"gth-pbe-q{n_electrons}"}, verbose=0
        )
        field = dft.RKS(atom, xc="PBE")
        field.grids.level = GRID_LEVEL
        field.conv_tol = 1e-10
        return float(field.kernel())


def check_references() -> None:
    """Print how far each recorded density is from that of its pseudo-atom now; fail where they differ."""
    columns = json.loads(REFERENCES.read_text(encoding="utf-8"))
    for symbol in [name for name in columns if name != "radius"]:
        density, recorded = radial_density(symbol)[0].density[::2], np.array(columns[symbol])
        difference = float(np.abs(density - recorded).max() / recorded.max())
        print(f"{symbol:2} recorded density: largest difference {difference:.1e} of its maximum")
        if difference > SAME:
            raise SystemExit(
                f"recorded density of {symbol} must be that of its pseudo-atom; write it again with fit.py"
            )


def main() -> None:
    """Print both energies of each atom and the recorded densities; fail where something differs."""
    check_references()
    for symbol, n_electrons in ATOMS.items():
        potential = read_pseudopotential(symbol, n_electrons)
        radial = PseudoAtom(potential, SOLVER).solve().energy
        molecular = molecular_energy(symbol, n_electrons, len(potential.electrons))
        print(f"{symbol:2} radial {radial:.7f}, molecular {molecular:.7f}, difference {radial - molecular:.1e} Hartree")
        if abs(radial - molecular) > TOLERANCE:
            raise SystemExit(f"energies of {symbol} must agree to {TOLERANCE} Hartree, got {radial} and {molecular}")


if __name__ == "__main__":
    main()
