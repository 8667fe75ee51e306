"""The pseudo-atoms beside PySCF's molecular Kohn-Sham program: total energies of closed shells in the same basis.

python check.py
"""

import warnings

import numpy as np
from pseudo_atom import PseudoAtom, Solver, read_pseudopotential
from pyscf import dft, gto

ATOMS = {"He": 2, "Be": 4, "Ne": 8, "Ar": 8, "Zn": 12}
SOLVER = Solver(smallest_exponent=0.03, largest_exponent=60.0, exponent_ratio=2.0)
GRID_LEVEL = 6
TOLERANCE = 1e-7  # Hartree: the molecular program's grid


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


def main() -> None:
    """Print both energies of each atom; fail where they differ."""
    for symbol, n_electrons in ATOMS.items():
        potential = read_pseudopotential(symbol, n_electrons)
        radial = PseudoAtom(potential, SOLVER).solve().energy
        molecular = molecular_energy(symbol, n_electrons, len(potential.electrons))
        print(f"{symbol:2} radial {radial:.7f}, molecular {molecular:.7f}, difference {radial - molecular:.1e} Hartree")
        if abs(radial - molecular) > TOLERANCE:
            raise SystemExit(f"energies of {symbol} must agree to {TOLERANCE} Hartree, got {radial} and {molecular}")


if __name__ == "__main__":
    main()
