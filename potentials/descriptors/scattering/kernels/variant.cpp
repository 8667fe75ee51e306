// The kernels of wavelet scattering, compiled once per instruction set (RHOPOT_VARIANT names it). Nothing here may be an
// inline function of the standard library: the linker would keep one copy for all variants.
#include "fourier.hpp"
#include "wavelets.hpp"

namespace rhopot::RHOPOT_VARIANT {
namespace {

using fourier::load_up_to;
using fourier::store_up_to;
using P = Pack<double>;
constexpr std::int64_t TILE = 256;  // points whose numbers stay in the first-level cache

// x^(1/3) for x >= 0, to a few units of the last place. z ~ x^(-1/3) starts within 4 % (a third of the exponent, by the bits
// of a float) and thrice takes a step of third order, without division; what a float cannot hold comes out as next to 0.
RHOPOT_INLINE P cube_root(const P& x) {
    typedef float Floats __attribute__((vector_size(WIDTH<double> * sizeof(float))));
    typedef std::int32_t Bits __attribute__((vector_size(WIDTH<double> * sizeof(std::int32_t))));
    const Bits exponent = (Bits) __builtin_convertvector(x, Floats);
    const Floats third = __builtin_convertvector(exponent, Floats) * (1.0f / 3.0f);
    P z = __builtin_convertvector((Floats)(0x548c39cb - __builtin_convertvector(third, Bits)), P);
    for (int step = 0; step < 3; ++step) {
        const P h = 1.0 - x * z * z * z;
        z += z * h * (1.0 / 3.0 + h * (2.0 / 9.0));
    }
    return x * z * z;
}

// x^(N + REST/3) with c = x^(1/3): powers known to the compiler
template <int N, int REST> struct FewThirds {
    RHOPOT_INLINE P operator()(const P& x, const P& c) const {
        P result = REST == 0 ? P{} + 1.0 : REST == 1 ? c : c * c;
        RHOPOT_UNROLL
        for (int i = 0; i < N; ++i) result = i == 0 && REST == 0 ? x : result * x;
        return result;
    }
};
struct Thirds {
    std::int64_t thirds;
    RHOPOT_INLINE P operator()(const P& x, const P& c) const {
        const P whole = power(x, thirds / 3);
        return thirds % 3 == 0 ? whole : thirds % 3 == 1 ? whole * c : whole * c * c;
    }
};
struct AnyPower {
    double q;
    RHOPOT_INLINE P operator()(const P& x, const P&) const {
        P result;
        for (int i = 0; i < WIDTH<double>; ++i) result[i] = __builtin_pow(x[i], q);
        return result;
    }
};

// work(function (x, c) -> x^(q - less)), chosen once and not for every pack
template <class Work> RHOPOT_INLINE void with_power(const Power& power, int less, const Work& work) {
    if (power.thirds == 0) return work(AnyPower{power.q - less});
    switch (power.thirds - 3 * less) {
        case 0: return work(FewThirds<0, 0>{});
        case 1: return work(FewThirds<0, 1>{});
        case 2: return work(FewThirds<0, 2>{});
        case 3: return work(FewThirds<1, 0>{});
        case 4: return work(FewThirds<1, 1>{});
        case 5: return work(FewThirds<1, 2>{});
        case 6: return work(FewThirds<2, 0>{});
        default: return work(Thirds{power.thirds - 3 * less});
    }
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

    // by_fields of the tile's points for derivative[TILE]: d sigma / ds = 1 / (2 sqrt(s + epsilon^2)), 0 on the tip of a cone
    template <bool ADD> RHOPOT_INLINE void adjoint(double epsilon, const double* derivative, double* by_fields) const {
        for (std::int64_t v = 0; v < n; v += WIDTH<double>) {
            const P below = square(v) + epsilon * epsilon, unit = P{} + 1.0;
            const P factor = below > 0.0 ? load_pack(derivative + v) / square_root(below > 0.0 ? below : unit) : P{};
            for (std::int64_t m = 0; m < mixture.n_components; ++m) {
                const P g = factor * component(m, v);
                for (std::int64_t s = 0; s < mixture.n_sources; ++s) {
                    double* to = by_fields + (s * mixture.n_components + m) * mixture.n_points + at + v;
                    const P derivative_of = mixture.weights[s] * g;
                    store_up_to(to, ADD ? load_up_to(to, n - v) + derivative_of : derivative_of, n - v);
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
        with_power(powers[q], 0, [&](auto raised) {
            P sum[4]{};  // that do not wait for each other
            const auto at = [&](std::int64_t v) { return raised(load_pack(sigma + v), load_pack(root + v)); };
            std::int64_t v = 0;
            for (; v + 4 * WIDTH<double> <= n; v += 4 * WIDTH<double>) {
                RHOPOT_UNROLL
                for (int i = 0; i < 4; ++i) sum[i] += at(v + i * WIDTH<double>);
            }
            for (; v < n; v += WIDTH<double>) sum[0] += at(v);
            sums[q] += lane_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
        });
    }
}

// derivative[TILE] = sum_q weights[q] q sigma^(q-1); q >= 1
RHOPOT_INLINE void derivatives_of_powers(const double* sigma, std::int64_t n, const Power* powers, std::int64_t n_powers,
                                         const double* weights, double* derivative) {
    double root[TILE];
    for (std::int64_t v = 0; v < n; v += WIDTH<double>) {
        store_pack(root + v, cube_root(load_pack(sigma + v)));
        store_pack(derivative + v, P{});
    }
    for (std::int64_t q = 0; q < n_powers; ++q) {
        const double factor = weights[q] * powers[q].q;
        with_power(powers[q], 1, [&](auto raised) {
            for (std::int64_t v = 0; v < n; v += WIDTH<double>) {
                store_pack(derivative + v,
                           load_pack(derivative + v) + factor * raised(load_pack(sigma + v), load_pack(root + v)));
            }
        });
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

void modulus_adjoint(const Mixture& mixture, double epsilon, const double* derivative, double* by_fields) {
    over_tiles(mixture.n_points, [&](std::int64_t at, std::int64_t n) {
        double tile[TILE];
        copy_tile(derivative + at, n, tile);
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

void power_derivatives(const double* sigma, std::int64_t n_points, const Power* powers, std::int64_t n_powers,
                       const double* weights, double* derivative) {
    over_tiles(n_points, [&](std::int64_t at, std::int64_t n) {
        double tile[TILE], derivatives[TILE];
        copy_tile(sigma + at, n, tile);
        derivatives_of_powers(tile, n, powers, n_powers, weights, derivatives);
        keep_tile(derivatives, n, derivative + at);
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

void field_derivatives(const Mixture& mixture, double epsilon, const Power* powers, std::int64_t n_powers,
                       const double* weights, double* by_fields) {
    over_tiles(mixture.n_points, [&](std::int64_t at, std::int64_t n) {
        double tile[TILE], derivatives[TILE];
        const Tile points{mixture, at, n};
        points.modulus(epsilon, tile);
        derivatives_of_powers(tile, n, powers, n_powers, weights, derivatives);
        points.adjoint<false>(epsilon, derivatives, by_fields);
    });
}

}  // namespace

const ScatteringKernels& scattering_kernels() {
    static constexpr ScatteringKernels kernels{
        WIDTH<double>,      modulus,         modulus_adjoint,         power_sums,
        power_derivatives,  field_sums,      field_derivatives,       spectrum_to_points,
        points_to_spectrum, filtered_points, filtered_points_adjoint, split_row,
        join_row,           wavelet_row,     wavelet_row_adjoint,
    };
    return kernels;
}

}  // namespace rhopot::RHOPOT_VARIANT
