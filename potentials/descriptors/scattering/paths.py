"""Feature paths: what each number means, in which order they stand, and how many there are.

    bias    1 per atom: the intercept of a linear model as a feature
    order 0 sum_k |c(Z_k)|^q / N
    order 1 (1/N) int sigma(rho_c * psi_1)^q du                         psi_1 = (n1, l1, j1)          [1, eq. 4.1]
    order 2 (1/N) int sigma(sigma(rho_c * psi_1) * psi_2)^q du          psi_2 = (n2, l2, j2)

With F_w wavelets (n, l), S scales, C channels, Q powers: 1 + C Q (1 + F_w S + pairs). Defaults (Li, Si; n = 3; j = 0 to
4; j2 >= j1 - 1, all pairs of l): 1 + 5 x 4 x (1 + 15 + 171) = 3741. The leading 1 is the bias.

Order: bias; then order > channel > (n1, l1) > j1 > (n2, l2) > j2 > q, each ascending, q fastest.

[1] X. Brumwell, Wavelet scattering and graph representations for atomic structures, thesis (2021), chapters 2-4
"""

from dataclasses import dataclass

from rhopot.potentials.descriptors.scattering.scattering_settings import ScatteringSettings


@dataclass(frozen=True)
class WaveletPath:
    """One feature. `order` is -1 for the bias; fields that an order does not have are None."""

    order: int
    channel: str | None = None
    n1: int | None = None
    l1: int | None = None
    j1: float | None = None
    n2: int | None = None
    l2: int | None = None
    j2: float | None = None
    q: float | None = None

    @property
    def name(self) -> str:
        """Short text, e.g. `lithium n3l1j0 n3l2j1 q1.333`."""
        if self.order < 0:
            return "bias"
        first = "" if self.n1 is None else f" n{self.n1}l{self.l1}j{self.j1:g}"
        second = "" if self.n2 is None else f" n{self.n2}l{self.l2}j{self.j2:g}"
        return f"{self.channel}{first}{second} q{self.q:.4g}"


def second_wavelets(settings: ScatteringSettings, wavelet: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the (n2, l2) that may follow (n1, l1)."""
    return [other for other in settings.wavelets if settings.degree_rule == "all" or other > wavelet]


def second_scales(settings: ScatteringSettings, scale: float) -> list[float]:
    """Return the j2 that may follow j1."""
    return [other for other in settings.scales if other >= scale - settings.scale_lag - 1e-9]


def all_paths(settings: ScatteringSettings) -> list[WaveletPath]:
    """Return every path that the settings allow, in the order of the features."""
    paths = [WaveletPath(order=-1)]
    names, powers = list(settings.channel_table), settings.powers
    paths += [WaveletPath(order=0, channel=name, q=q) for name in names for q in powers]
    first = [(*wavelet, j) for wavelet in settings.wavelets for j in settings.scales] if settings.max_order >= 1 else []
    paths += [WaveletPath(1, name, *wavelet, q=q) for name in names for wavelet in first for q in powers]
    if settings.max_order == 2:
        paths += [
            WaveletPath(2, name, n1, l1, j1, n2, l2, j2, q)
            for name in names
            for n1, l1, j1 in first
            for n2, l2 in second_wavelets(settings, (n1, l1))
            for j2 in second_scales(settings, j1)
            for q in powers
        ]
    return paths
