// The kernels of wavelet scattering, compiled once per instruction set (RHOPOT_VARIANT names it). Nothing here may be an
// inline function of the standard library: the linker would keep one copy for all variants.
#include "wavelets.hpp"

namespace rhopot::RHOPOT_VARIANT {
namespace {

using P = Pack<double>;
constexpr std::int64_t TILE = 256;  // points whose numbers stay in the first-level cache

RHOPOT_INLINE P load_up_to(const double* from, std::int64_t n) {
    return n >= WIDTH<double> ? load_pack(from) : load_some(from, n);
}
RHOPOT_INLINE void store_up_to(double* to, const P& x, std::int64_t n) {
    if (n >= WIDTH<double>) store_pack(to, x);
    else store_some(to, x, n);
}

// x^(1/3) for x >= 0, to a few units of the last place. z ~ x^(-1/3) starts within 4 % (a third of the exponent, by the bits
// of a float) and thrice takes a step of third order, without division; what a float cannot hold comes out as next to 0.
RHOPOT_INLINE P cube_root(const P& x) {
    typedef float Floats __attribute__((vector_size(WIDTH<double> * sizeof(float))));
    typedef std::int32_t Bits __attribute__((vector_size(WIDTH<double> * sizeof(std::int32_t))));
    const Bits exponent = (Bits)__builtin_convertvector(x, Floats);
    const Floats third = __builtin_convertvector(exponent, Floats) * (1.0f / 3.0f);
    P z = __builtin_convertvector((Floats)(0x548c39cb - __builtin_convertvector(third, Bits)), P);
    for (int step = 0; step < 3; ++step) {
        const P h = 1.0 - x * z * z * z;
        z += z * h * (1.0 / 3.0 + h * (2.0 / 9.0));
    }
    return x * z * z;
}

// x^(thirds / 3) with c = x^(1/3)
RHOPOT_INLINE P third_power(const P& x, const P& c, std::int64_t thirds) {
    const P integral = power(x, thirds / 3);
    switch (thirds % 3) {
        case 1: return integral * c;
        case 2: return integral * c * c;
        default: return integral;
    }
}

RHOPOT_INLINE P any_power(const P& x, double q) {
    P result;
    for (int i = 0; i < WIDTH<double>; ++i) result[i] = __builtin_pow(x[i], q);
    return result;
}

// A few points of a mixture: their fields start at `at`, and there are `n` of them.
struct Tile {
    const Mixture& mixture;
    std::int64_t at, n;

    // g_m of a pack of points
    RHOPOT_INLINE P component(std::int64_t m, std::int64_t v) const {
        P g{};
        for (std::int64_t s = 0; s < mixture.n_sources; ++s) {
            const double* field = mixture.fields + (s * mixture.n_components + m) * mixture.n_points + at + v;
            g += mixture.weights[s] * load_up_to(field, n - v);
        }
        return g;
    }

    RHOPOT_INLINE P square(std::int64_t v) const {
        P s{};
        for (std::int64_t m = 0; m < mixture.n_components; ++m) {
            const P g = component(m, v);
            s += g * g;
        }
        return s;
    }

    // sigma[TILE]; lanes beyond the points are zero
    RHOPOT_INLINE void modulus(double epsilon, double* sigma) const {
        const P unit = P{} + 1.0;
        for (std::int64_t v = 0; v < n; v += WIDTH<double>) {
            const P s = square(v), below = s + epsilon * epsilon;
            store_pack(sigma + v, s / (square_root(below > 0.0 ? below : unit) + epsilon));
        }
    }

    // by_fields of the tile's points for slope[TILE]: d sigma / ds = 1 / (2 sqrt(s + epsilon^2)), 0 on the tip of a cone
    template <bool ADD> RHOPOT_INLINE void adjoint(double epsilon, const double* slope, double* by_fields) const {
        for (std::int64_t v = 0; v < n; v += WIDTH<double>) {
            const P below = square(v) + epsilon * epsilon, unit = P{} + 1.0;
            const P factor = below > 0.0 ? load_pack(slope + v) / square_root(below > 0.0 ? below : unit) : P{};
            for (std::int64_t m = 0; m < mixture.n_components; ++m) {
                const P g = factor * component(m, v);
                for (std::int64_t s = 0; s < mixture.n_sources; ++s) {
                    double* to = by_fields + (s * mixture.n_components + m) * mixture.n_points + at + v;
                    const P slope_of = mixture.weights[s] * g;
                    store_up_to(to, ADD ? load_up_to(to, n - v) + slope_of : slope_of, n - v);
                }
            }
        }
    }
};

template <class Work> RHOPOT_INLINE void over_tiles(std::int64_t n_points, const Work& work) {
    for (std::int64_t at = 0; at < n_points; at += TILE) work(at, n_points - at < TILE ? n_points - at : TILE);
}

// totals[q] += the tile's sums of sigma^q; sigma[TILE] is zero beyond n
RHOPOT_INLINE void add_powers(const double* sigma, std::int64_t n, const Power* powers, std::int64_t n_powers, double* sums) {
    double root[TILE];
    for (std::int64_t v = 0; v < n; v += WIDTH<double>) store_pack(root + v, cube_root(load_pack(sigma + v)));
    for (std::int64_t q = 0; q < n_powers; ++q) {
        P sum{};
        for (std::int64_t v = 0; v < n; v += WIDTH<double>) {
            const P x = load_pack(sigma + v);
            sum += powers[q].thirds > 0 ? third_power(x, load_pack(root + v), powers[q].thirds) : any_power(x, powers[q].q);
        }
        sums[q] += lane_sum(sum);
    }
}

// slope[TILE] = sum_q weights[q] q sigma^(q-1); q >= 1
RHOPOT_INLINE void slopes_of_powers(const double* sigma, std::int64_t n, const Power* powers, std::int64_t n_powers,
                                    const double* weights, double* slope) {
    for (std::int64_t v = 0; v < n; v += WIDTH<double>) {
        const P x = load_pack(sigma + v), c = cube_root(x);
        P sum{};
        for (std::int64_t q = 0; q < n_powers; ++q) {
            const Power& each = powers[q];
            const P raised = each.thirds > 0 ? third_power(x, c, each.thirds - 3) : any_power(x, each.q - 1);
            sum += weights[q] * each.q * raised;
        }
        store_pack(slope + v, sum);
    }
}

RHOPOT_INLINE void copy_tile(const double* from, std::int64_t n, double* tile) {
    for (std::int64_t v = 0; v < n; v += WIDTH<double>) store_pack(tile + v, load_up_to(from + v, n - v));
}
RHOPOT_INLINE void keep_tile(const double* tile, std::int64_t n, double* to) {
    for (std::int64_t v = 0; v < n; v += WIDTH<double>) store_up_to(to + v, load_pack(tile + v), n - v);
}

void modulus(const Mixture& mixture, double epsilon, double* sigma) {
    over_tiles(mixture.n_points, [&](std::int64_t at, std::int64_t n) {
        double tile[TILE];
        Tile{mixture, at, n}.modulus(epsilon, tile);
        keep_tile(tile, n, sigma + at);
    });
}

void modulus_adjoint(const Mixture& mixture, double epsilon, const double* slope, double* by_fields) {
    over_tiles(mixture.n_points, [&](std::int64_t at, std::int64_t n) {
        double tile[TILE];
        copy_tile(slope + at, n, tile);
        Tile{mixture, at, n}.adjoint<true>(epsilon, tile, by_fields);
    });
}

void power_sums(const double* sigma, std::int64_t n_points, const Power* powers, std::int64_t n_powers, double* sums) {
    for (std::int64_t q = 0; q < n_powers; ++q) sums[q] = 0;
    over_tiles(n_points, [&](std::int64_t at, std::int64_t n) {
        double tile[TILE];
        copy_tile(sigma + at, n, tile);
        add_powers(tile, n, powers, n_powers, sums);
    });
}

void power_slopes(const double* sigma, std::int64_t n_points, const Power* powers, std::int64_t n_powers,
                  const double* weights, double* slope) {
    over_tiles(n_points, [&](std::int64_t at, std::int64_t n) {
        double tile[TILE], slopes[TILE];
        copy_tile(sigma + at, n, tile);
        slopes_of_powers(tile, n, powers, n_powers, weights, slopes);
        keep_tile(slopes, n, slope + at);
    });
}

void field_sums(const Mixture& mixture, double epsilon, const Power* powers, std::int64_t n_powers, double* sums) {
    for (std::int64_t q = 0; q < n_powers; ++q) sums[q] = 0;
    over_tiles(mixture.n_points, [&](std::int64_t at, std::int64_t n) {
        double tile[TILE];
        Tile{mixture, at, n}.modulus(epsilon, tile);
        add_powers(tile, n, powers, n_powers, sums);
    });
}

void field_slopes(const Mixture& mixture, double epsilon, const Power* powers, std::int64_t n_powers, const double* weights,
                  double* by_fields) {
    over_tiles(mixture.n_points, [&](std::int64_t at, std::int64_t n) {
        double tile[TILE], slopes[TILE];
        const Tile points{mixture, at, n};
        points.modulus(epsilon, tile);
        slopes_of_powers(tile, n, powers, n_powers, weights, slopes);
        points.adjoint<false>(epsilon, slopes, by_fields);
    });
}

void filter_row(const double* row, const double* filter, std::int64_t n, bool odd, double* product) {
    if (odd) {
        for (std::int64_t k = 0; k < n; ++k) {
            product[2 * k] = filter[k] * row[2 * k + 1];
            product[2 * k + 1] = -filter[k] * row[2 * k];
        }
    } else {
        for (std::int64_t k = 0; k < n; ++k) {
            product[2 * k] = filter[k] * row[2 * k];
            product[2 * k + 1] = filter[k] * row[2 * k + 1];
        }
    }
}

// dE/d row = conj(factor filter) dE/d product and dE/d filter = Re(conj(factor row) dE/d product), factor = 1 or -i
template <bool ODD>
RHOPOT_INLINE void filter_adjoint(const double* row, const double* filter, const double* by_product, std::int64_t n,
                                  double* by_row, double* by_filter) {
    for (std::int64_t k = 0; k < n; ++k) {
        const double twice = k == 0 ? 1.0 : 2.0, re = twice * by_product[2 * k], im = twice * by_product[2 * k + 1];
        by_row[2 * k] += filter[k] * (ODD ? -im : re);
        by_row[2 * k + 1] += filter[k] * (ODD ? re : im);
        by_filter[k] += ODD ? row[2 * k + 1] * re - row[2 * k] * im : row[2 * k] * re + row[2 * k + 1] * im;
    }
}

void filter_row_adjoint(const double* row, const double* filter, const double* by_product, std::int64_t n, bool odd,
                        double* by_row, double* by_filter) {
    if (odd) filter_adjoint<true>(row, filter, by_product, n, by_row, by_filter);
    else filter_adjoint<false>(row, filter, by_product, n, by_row, by_filter);
}

}  // namespace

extern const ScatteringKernels scattering_kernels;
const ScatteringKernels scattering_kernels{modulus,      modulus_adjoint, power_sums,         power_slopes, field_sums,
                                           field_slopes, filter_row,      filter_row_adjoint, wavelet_row,
                                           wavelet_row_adjoint};

}  // namespace rhopot::RHOPOT_VARIANT
