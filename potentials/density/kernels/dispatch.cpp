// Constants of the harmonics, and the choice of a set of kernels for the processor at hand.
#include <cmath>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "problem.hpp"

namespace rhopot {

#define RHOPOT_DECLARE(variant)                          \
    namespace variant {                                  \
    extern const Kernels<double> kernels_double;         \
    extern const Kernels<float> kernels_float;           \
    extern const GmpKernels<double> gmp_kernels_double;  \
    extern const GmpKernels<float> gmp_kernels_float;    \
    extern const RowKernels<double> row_kernels_double;  \
    extern const RowKernels<float> row_kernels_float;    \
    }
RHOPOT_DECLARE(baseline)
#ifdef RHOPOT_X86_VARIANTS
RHOPOT_DECLARE(v3)
RHOPOT_DECLARE(v4)
#endif

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

enum Level { BASELINE, V3, V4 };

Level supported() {
#ifdef RHOPOT_X86_VARIANTS
    __builtin_cpu_init();
    const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    const bool v4 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512cd");
    return v3 && v4 ? V4 : v3 ? V3 : BASELINE;
#else
    return BASELINE;
#endif
}

Level chosen() {
    const Level most = supported();
    const char* set = std::getenv("RHOPOT_KERNELS");
    const std::string wish = set == nullptr ? "" : set;
    if (wish.empty()) return most;
    const std::string names[] = {"baseline", "v3", "v4"};
    for (const Level level : {BASELINE, V3, V4}) {
        if (wish == names[level]) return level < most ? level : most;
    }
    throw std::invalid_argument("RHOPOT_KERNELS must be baseline, v3 or v4, got '" + wish +
                                "'; unset it for the most that the processor has");
}

Level level() {
    static const Level level = chosen();
    return level;
}

template <class Set> const Set& select(const Set* const (&sets)[3]) {
    return *sets[level()];
}

}  // namespace

template <class T> const HarmonicConstants<T>& harmonic_constants() {
    static const HarmonicConstants<T> constants = make_constants<T>();
    return constants;
}
template const HarmonicConstants<double>& harmonic_constants<double>();
template const HarmonicConstants<float>& harmonic_constants<float>();

#ifdef RHOPOT_X86_VARIANTS
#define RHOPOT_SETS(name) {&baseline::name, &v3::name, &v4::name}
#else
#define RHOPOT_SETS(name) {&baseline::name, &baseline::name, &baseline::name}
#endif
#define RHOPOT_SELECT(Set, name, type)                                       \
    template <> const Set<type>& name<type>() {                              \
        static const Set<type>* const sets[3] = RHOPOT_SETS(name##_##type);  \
        return select(sets);                                                 \
    }
RHOPOT_SELECT(Kernels, kernels, double)
RHOPOT_SELECT(Kernels, kernels, float)
RHOPOT_SELECT(GmpKernels, gmp_kernels, double)
RHOPOT_SELECT(GmpKernels, gmp_kernels, float)
RHOPOT_SELECT(RowKernels, row_kernels, double)
RHOPOT_SELECT(RowKernels, row_kernels, float)

}  // namespace rhopot
