"""The compiled density operators, `torch.ops.rhopot.*`: loaded here, once.

    density_expansion_v1   c[C, (L+1)^2, U]   differentiable twice in the edge vectors
    power_spectrum_v1      p[C, F] from c     differentiable twice
    soap_power_spectrum_v1 p[C, F]            the two fused; differentiable twice
    soap_jacobian_v1       p[C, F], dp[E, 3, F]   for linear fits; not differentiable
    soap_linear_v1         e[C, 1+K]          energies linear in p; p of column 0 is never formed; differentiable twice
    soap_gap_v1            e[C, 1+K]          energies of a sparse dot-product kernel on p; differentiable twice
    multispectrum_v1       p[C, F] from c     invariants of order 1 to 4; differentiable twice
    multispectrum_derivative_v1   dp[C, F]    along a tangent of c; not differentiable
    multispectrum_jacobian_v1 p[C, F], dp[E, 3, F]   not differentiable
    multispectrum_linear_v1   e[C, 1+K]       energies linear in p, in one pass; differentiable twice
    gmp_invariants_v1      Phi[C, F] from c   norms over the orders of several probes; differentiable twice
    gmp_features_v1        Phi[C, F]          expansion and norms fused; differentiable twice
    gmp_jacobian_v1        Phi[C, F], dPhi[E, 3, F]   not differentiable

Symmetry functions (arguments: `rhopot.potentials.descriptors.symmetry_functions.reference`):

    symmetry_functions_v1  G[C, F]            G2 and G4; differentiable twice
    symmetry_jacobian_v1   G[C, F], dG[E, 3, F]   not differentiable

Wavelet scattering (arguments: `rhopot.potentials.descriptors.scattering.modulus`; float64):

    wavelet_filters_v1     psi[M, p1, p2, p3//2+1]   of one wavelet (`wavelets`); differentiable once, as all four
    wavelet_modulus_v1     sigma[C, p1, p2, p3]   of channels of filtered spectra
    wavelet_power_sums_v1  sums[R, Q]         of powers of such moduli, which are never stored
    power_sums_v1          sums[C, Q]         of powers of stored ones

Three loops around models, for Python only (model files do not call them, so they carry no version):

    edges_within           the edges of a structure that has moved, out of a longer list
    edge_sums              forces and virial from dE/d(edge vector); the definition is in `rhopot.potentials.units`
    jacobian_forces        dE/d(edge vector) from a stored Jacobian and dE/d(features); differentiable in the latter

Arguments, shapes and equations: `rhopot.potentials.density.reference`, which has a function of the same name (without
the version) and the same argument list for each of them. Operators run on the CPU, in float64 or float32; schemas,
kernels and derivatives live in one shared library that needs no Python, so that LAMMPS gets the same numbers.

The kernels exist once per instruction set; RHOPOT_KERNELS=baseline|v3|v4 in the environment asks for a lesser one.
"""

import functools
from pathlib import Path

import torch

LIBRARY = "librhopot_operators.so"
BUILT_FOR = "torch_version.txt"
NAMES = (
    "density_expansion_v1",
    "power_spectrum_v1",
    "soap_power_spectrum_v1",
    "soap_jacobian_v1",
    "soap_linear_v1",
    "soap_gap_v1",
    "multispectrum_v1",
    "multispectrum_derivative_v1",
    "multispectrum_jacobian_v1",
    "multispectrum_linear_v1",
    "gmp_invariants_v1",
    "gmp_features_v1",
    "gmp_jacobian_v1",
    "symmetry_functions_v1",
    "symmetry_jacobian_v1",
    "wavelet_filters_v1",
    "wavelet_modulus_v1",
    "wavelet_power_sums_v1",
    "power_sums_v1",
    "edges_within",
    "edge_sums",
    "jacobian_forces",
)


def library_path() -> Path:
    """Return where the operator library stands: `lib/`, beside the installed Python packages.

    Raises:
        ImportError: the library is not there.
    """
    import rhopot

    folders = [Path(root) / "lib" for root in rhopot.__path__]
    for folder in folders:
        if (folder / LIBRARY).is_file():
            return folder / LIBRARY
    looked = ", ".join(str(folder) for folder in folders)
    raise ImportError(f"{LIBRARY} must be installed, not found in {looked}; run `pip install .` in the source tree")


def built_for() -> str:
    """Return the version of torch that the library was compiled against, as far as it is known, else an empty text."""
    file = library_path().with_name(BUILT_FOR)
    return file.read_text(encoding="utf-8").strip() if file.is_file() else ""


def same_abi(built: str, running: str) -> bool:
    """Whether a library compiled against one version of torch may be opened beside another.

    Releases of one minor version (2.13.0, 2.13.1, 2.13.0+cu126) keep their C++ classes; others need not, and a library
    that takes an object of one layout for another gives wrong numbers or none.
    """
    return not built or built.split("+")[0].split(".")[:2] == running.split("+")[0].split(".")[:2]


@functools.cache
def load() -> None:
    """Register the operators with torch; later calls do nothing.

    Raises:
        ImportError: the library is missing, was built for another version of torch, or is older than this module.
    """
    path = library_path()
    if not same_abi(built_for(), torch.__version__):
        minor = ".".join(built_for().split(".")[:2])
        raise ImportError(
            f"torch must be {minor}, which {path} was compiled against, got {torch.__version__}; "
            f"run `pip install .` again with this torch, or `pip install 'torch=={minor}.*'`"
        )
    try:
        torch.ops.load_library(str(path))
    except OSError as error:
        raise ImportError(
            f"{path} must match the installed torch {torch.__version__}, got: {error}; run `pip install .` again"
        ) from error
    missing = [name for name in NAMES if not hasattr(torch.ops.rhopot, name)]
    if missing:
        raise ImportError(f"{path} must hold every operator, it lacks {', '.join(missing)}; run `pip install .` again")


def kernel_variant() -> str:
    """Return the instruction set that the kernels use on this processor: baseline, v3 or v4."""
    load()
    return str(torch.ops.rhopot.kernel_variant())


def operators_version() -> str:
    """Return the version of the operators' schemas, recorded in model files."""
    load()
    return str(torch.ops.rhopot.operators_version())
