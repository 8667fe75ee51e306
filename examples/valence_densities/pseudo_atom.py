"""Spherical Kohn-Sham pseudo-atoms: the valence density that a GTH pseudopotential gives in PBE.

The atom is solved on its radius alone, with the open shells occupied evenly over their 2 (2l+1) spin orbitals, so the
density is spherical and unpolarised. For each l the orbitals are expanded in even-tempered Gaussians

    R_lk(r) = N r^l exp(-a_k r^2),      a_k = a_min ratio^k,

integrals are sums over a logarithmic grid (spectrally accurate, as every integrand vanishes at both ends), and

    [-1/2 (d^2/dr^2 + 2/r d/dr) + l (l+1) / (2 r^2) + V_loc + V_H + V_xc] R + sum_ij p_i^l h_ij^l <p_j^l|R> = e R
    V_loc(r) = -Z/r erf(r / (sqrt(2) r_loc)) + exp(-r^2 / (2 r_loc^2)) sum_i C_i (r / r_loc)^(2i-2)         [1, eq. 1]
    p_i^l(r) = sqrt(2) r^(l+2i-2) exp(-r^2 / (2 r_l^2)) / (r_l^(l+2i-1/2) sqrt(Gamma(l+2i-1/2)))            [1, eq. 3]

is solved to self-consistency with commutator DIIS. Everything here is in atomic units (Hartree, Bohr).
The parameters of the pseudopotentials and the functional come from PySCF, which is needed by this program only.

[1] Goedecker, Teter, Hutter, Phys. Rev. B 54, 1703 (1996), doi:10.1103/PhysRevB.54.1703; Hartwigsen, Goedecker,
    Hutter, 58, 3641 (1998); PBE parameters: Krack, Theor. Chem. Acc. 114, 145 (2005) and the later UZH set.
[2] Perdew, Burke, Ernzerhof, Phys. Rev. Lett. 77, 3865 (1996).
"""

from collections import deque
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from pathlib import Path

import numpy as np
import pyscf
from numpy.typing import NDArray
from pyscf.dft import libxc
from pyscf.gto.basis import parse_cp2k_pp
from scipy.integrate import cumulative_simpson
from scipy.special import erf, gammaln

Floats = NDArray[np.float64]

# Files of PySCF, the published set first.
POTENTIAL_FILES = ("GTH_POTENTIALS", "POTENTIAL_UZH")
# Ground states that the pseudopotential's own reference configuration is not: electrons with l = 0, 1, 2, ...
GROUND_STATES = {"Tc": (4, 6, 5)}


@dataclass(frozen=True)
class Solver:
    """Numerical settings of the pseudo-atom, in atomic units."""

    smallest_exponent: float = 0.008
    largest_exponent: float = 80.0
    exponent_ratio: float = 1.7
    first_radius: float = 1e-5
    last_radius: float = 60.0
    n_radii: int = 2001
    smallest_overlap: float = 1e-9
    convergence: float = 1e-8
    max_iterations: int = 300
    history: int = 8


@dataclass(frozen=True)
class Pseudopotential:
    """One GTH pseudopotential: local part (r_loc, C_i) and, per l, (r_l, h_ij)."""

    symbol: str
    name: str
    electrons: tuple[int, ...]  # with l = 0, 1, 2, ... in the ground state of the atom
    local_radius: float
    local_coefficients: tuple[float, ...]
    projectors: tuple[tuple[float, Floats], ...]

    @property
    def charge(self) -> int:
        """Charge of the ionic core = number of valence electrons."""
        return sum(self.electrons)

    def local(self, r: Floats) -> Floats:
        """V_loc in Hartree at r (G,)."""
        x = r / self.local_radius
        polynomial = sum((c * x ** (2 * i) for i, c in enumerate(self.local_coefficients)), np.zeros_like(r))
        return -self.charge / r * erf(x / np.sqrt(2.0)) + np.exp(-0.5 * x * x) * polynomial

    def projector_values(self, degree: int, r: Floats) -> tuple[Floats, Floats]:
        """p_i^l (I, G) at r (G,), and h_ij^l (I, I)."""
        if degree >= len(self.projectors):
            return np.zeros((0, len(r))), np.zeros((0, 0))
        radius, h = self.projectors[degree]
        i = np.arange(1, len(h) + 1)[:, None]
        power = degree + 2 * i - 0.5
        log_norm = 0.5 * (np.log(2.0) - gammaln(power)) - power * np.log(radius)
        return np.exp(log_norm + (degree + 2 * i - 2) * np.log(r) - 0.5 * (r / radius) ** 2), h


def read_pseudopotential(symbol: str, n_electrons: int) -> Pseudopotential:
    """The GTH-PBE pseudopotential of an element with that many valence electrons."""
    name = f"GTH-PBE-q{n_electrons}"
    for file in POTENTIAL_FILES:
        block = _find_block(Path(pyscf.__file__).parent / "pbc" / "gto" / "pseudo" / file, symbol, name)
        if block is None:
            continue
        electrons, local_radius, _, coefficients, _, *projectors = parse_cp2k_pp.parse(block)
        return Pseudopotential(
            symbol,
            f"{name} ({file})",
            GROUND_STATES.get(symbol, _without_empty(electrons)),
            local_radius,
            tuple(coefficients),
            tuple((radius, np.array(h).reshape(n, n)) for radius, n, h in projectors),
        )
    raise ValueError(
        f"n_electrons of {symbol} must be that of a GTH-PBE pseudopotential in {' or '.join(POTENTIAL_FILES)}, "
        f"got {n_electrons}; choose another"
    )


def _find_block(file: Path, symbol: str, name: str) -> str | None:
    """The lines of one pseudopotential in a file of CP2K's format, or None."""
    lines = iter(file.read_text(encoding="utf-8").splitlines())
    for line in lines:
        words = line.split()
        if words[:1] == [symbol] and name in words:
            body = takewhile(lambda text: not text.startswith("#") and "GTH" not in text, lines)
            return "\n".join([line, *body])
    return None


def _without_empty(electrons: list[int]) -> tuple[int, ...]:
    """Counts per l up to the last occupied one."""
    return tuple(electrons[: max(k for k, n in enumerate(electrons) if n) + 1])


@dataclass(frozen=True)
class Channel:
    """The basis of one l, orthonormal: values and derivatives (B, G) on the grid, fixed Hamiltonian (B, B)."""

    values: Floats
    derivatives: Floats
    fixed: Floats
    degeneracy: int

    def fill(self, hamiltonian: Floats, n_electrons: int) -> tuple[Floats, Floats]:
        """Density matrix (B, B) with the lowest shells filled, the last one evenly and in part; shell energies."""
        energies, orbitals = np.linalg.eigh(hamiltonian)
        n_shells = -(-n_electrons // self.degeneracy)
        occupation = np.full(n_shells, float(self.degeneracy))
        if n_shells:
            occupation[-1] = n_electrons - self.degeneracy * (n_shells - 1)
        filled = orbitals[:, :n_shells]
        return (filled * occupation) @ filled.T, energies[:n_shells]


@dataclass(frozen=True)
class AtomDensity:
    """The converged atom: radii (G,) in Bohr, density (G,) in e/Bohr^3, energy in Hartree, shell energies per l."""

    radius: Floats
    density: Floats
    energy: float
    shells: tuple[Floats, ...]
    iterations: int


class PseudoAtom:
    """The self-consistent field of one pseudopotential."""

    def __init__(self, potential: Pseudopotential, solver: Solver) -> None:
        self.potential = potential
        self.solver = solver
        x = np.linspace(np.log(solver.first_radius), np.log(solver.last_radius), solver.n_radii)
        self.radius = np.exp(x)
        self.volume = self.radius**3 * (x[1] - x[0])  # r^2 dr; times 4 pi: the volume element

    @cached_property
    def channels(self) -> list[Channel]:
        """The bases of all occupied l, with kinetic energy and pseudopotential."""
        return [self._channel(degree) for degree in range(len(self.potential.electrons))]

    def _channel(self, degree: int) -> Channel:
        s, r = self.solver, self.radius
        n = int(np.ceil(np.log(s.largest_exponent / s.smallest_exponent) / np.log(s.exponent_ratio))) + 1
        a = s.smallest_exponent * s.exponent_ratio ** np.arange(n)[:, None]
        log_norm = 0.5 * (np.log(2.0) + (degree + 1.5) * np.log(2.0 * a) - gammaln(degree + 1.5))
        values = np.exp(log_norm + degree * np.log(r) - a * r * r)
        derivatives = values * (degree / r - 2.0 * a * r)
        overlap, vectors = np.linalg.eigh((values * self.volume) @ values.T)
        keep = overlap > s.smallest_overlap
        transform = (vectors[:, keep] / np.sqrt(overlap[keep])).T
        values, derivatives = transform @ values, transform @ derivatives
        centrifugal = degree * (degree + 1) * (values * self.volume / r**2) @ values.T
        kinetic = 0.5 * ((derivatives * self.volume) @ derivatives.T + centrifugal)
        p, h = self.potential.projector_values(degree, r)
        b = (values * self.volume) @ p.T
        local = (values * self.volume * self.potential.local(r)) @ values.T
        return Channel(values, derivatives, kinetic + local + b @ h @ b.T, 2 * (2 * degree + 1))

    def solve(self) -> AtomDensity:
        """Iterate to self-consistency; ValueError where that fails."""
        hamiltonians = [channel.fixed for channel in self.channels]
        history: deque[tuple[list[Floats], Floats]] = deque(maxlen=self.solver.history)
        for iteration in range(self.solver.max_iterations):
            filled = [
                channel.fill(h, n)
                for channel, h, n in zip(self.channels, hamiltonians, self.potential.electrons, strict=True)
            ]
            matrices = [matrix for matrix, _ in filled]
            density, derivative = self._density(matrices)
            fields, field_energy = self._fields(density, derivative)
            fock = [channel.fixed + field for channel, field in zip(self.channels, fields, strict=True)]
            error = np.concatenate([(f @ d - d @ f).ravel() for f, d in zip(fock, matrices, strict=True)])
            if np.abs(error).max() < self.solver.convergence:
                fixed = sum(float(np.sum(c.fixed * d)) for c, d in zip(self.channels, matrices, strict=True))
                shells = tuple(energies for _, energies in filled)
                return AtomDensity(self.radius, density, fixed + field_energy, shells, iteration)
            history.append((fock, error))
            hamiltonians = _extrapolate(history)
        raise ValueError(
            f"max_iterations must allow convergence of {self.potential.symbol}, got {self.solver.max_iterations} with "
            f"error {np.abs(error).max():.1e}; change the mixing"
        )

    def _density(self, matrices: list[Floats]) -> tuple[Floats, Floats]:
        """rho and d rho / dr (G,) of density matrices."""
        density, derivative = np.zeros_like(self.radius), np.zeros_like(self.radius)
        for channel, matrix in zip(self.channels, matrices, strict=True):
            half = matrix @ channel.values
            density += np.einsum("bg,bg->g", half, channel.values) / (4.0 * np.pi)
            derivative += 2.0 * np.einsum("bg,bg->g", half, channel.derivatives) / (4.0 * np.pi)
        return density, derivative

    def _fields(self, density: Floats, derivative: Floats) -> tuple[list[Floats], float]:
        """Hartree and exchange-correlation matrices of each channel, and their energy.

        A gradient functional enters as the integral of v_rho R R' + 2 v_sigma rho' (R R')'.
        """
        r, shell = self.radius, 4.0 * np.pi * self.radius**2 * density
        x = np.log(r)
        inside = cumulative_simpson(shell * r, x=x, initial=0.0)
        outside = cumulative_simpson(shell, x=x, initial=0.0)
        hartree = inside / r + outside[-1] - outside
        zero = np.zeros_like(density)
        exchange, (v_rho, v_sigma, *_), *_ = libxc.eval_xc("PBE", np.stack([density, derivative, zero, zero]), deriv=1)
        energy = 4.0 * np.pi * float(np.sum(self.volume * density * (0.5 * hartree + exchange)))
        flat = self.volume * (hartree + v_rho)
        tilted = self.volume * 2.0 * v_sigma * derivative
        fields = []
        for channel in self.channels:
            gradient = (channel.derivatives * tilted) @ channel.values.T
            fields.append((channel.values * flat) @ channel.values.T + gradient + gradient.T)
        return fields, energy


def _extrapolate(history: deque[tuple[list[Floats], Floats]]) -> list[Floats]:
    """The Hamiltonians whose combined commutator is smallest (Pulay, J. Comput. Chem. 3, 556, 1982)."""
    n = len(history)
    errors = np.stack([error for _, error in history])
    gram = errors @ errors.T
    system = np.zeros((n + 1, n + 1))
    system[:n, :n] = gram / np.abs(gram).max()
    system[n, :n] = system[:n, n] = 1.0
    weights = np.linalg.lstsq(system, np.append(np.zeros(n), 1.0), rcond=1e-14)[0][:n]
    return [
        sum((w * focks[k] for w, (focks, _) in zip(weights, history, strict=True)), np.zeros_like(focks_0))
        for k, focks_0 in enumerate(history[0][0])
    ]


def solve_atom(symbol: str, n_electrons: int, solver: Solver) -> tuple[Pseudopotential, AtomDensity]:
    """The pseudopotential and the converged atom of an element with that many valence electrons."""
    potential = read_pseudopotential(symbol, n_electrons)
    return potential, PseudoAtom(potential, solver).solve()
