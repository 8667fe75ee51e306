// Constants of the harmonics' recurrences.
#include <cmath>

#include "problem.hpp"

namespace rhopot {
namespace {

// N_lm with sqrt(2) for m > 0, without the derivative of the Legendre polynomial that it multiplies
double normalisation(int l, int m) {
    double ratio = 1;  // (l - m)! / (l + m)!
    for (int k = l - m + 1; k <= l + m; ++k) ratio /= k;
    return std::sqrt((2 * l + 1) / (4 * M_PI) * ratio * (m > 0 ? 2 : 1));
}

template <class T> HarmonicConstants<T> make_constants() {
    HarmonicConstants<T> k{};
    double odd_factorial = 1;  // (2m - 1)!! = d^m P_m / dz^m
    for (int m = 0; m <= L_LIMIT; ++m) {
        if (m > 0) odd_factorial *= 2 * m - 1;
        k.diagonal[m] = T(normalisation(m, m) * odd_factorial);
        for (int l = m + 1; l <= L_LIMIT; ++l) {
            const double l2 = double(l) * l, m2 = double(m) * m, before = double(l - 1) * (l - 1);
            k.factor[l][m] = T(std::sqrt((4 * l2 - 1) / (l2 - m2)));
            k.offset[l][m] = l > m + 1 ? T(std::sqrt((before - m2) / (4 * before - 1))) : T(0);
            k.raise[l][m] = T(normalisation(l, m) / normalisation(l, m + 1));
        }
    }
    return k;
}

}  // namespace

template <class T> const HarmonicConstants<T>& harmonic_constants() {
    static const HarmonicConstants<T> constants = make_constants<T>();
    return constants;
}
template const HarmonicConstants<double>& harmonic_constants<double>();
template const HarmonicConstants<float>& harmonic_constants<float>();

}  // namespace rhopot
