// Loops over grid points and frequencies of wavelet scattering, without torch: one set per instruction set. Float64 only.
//
//   V points of a grid, M components of a wavelet, S sources (species, or one channel), K frequencies of a row
#pragma once

#include <cstdint>

#include "problem.hpp"

namespace rhopot {

constexpr int DEGREE_LIMIT = L_LIMIT;

// psi of a wavelet (`wavelets.hpp`)
struct WaveletShape {
    double beta, factor;  // width in A, sqrt(4 pi / (2l+1))
    int order, degree;    // n, l < n
    const HarmonicConstants<double>* constants;
};

// sigma^q; `thirds` is 3 q where that is a whole number (a cube root then does), 0 elsewhere
struct Power {
    double q;
    std::int64_t thirds;
};

// The fields [S, M, V] of one wavelet and what they weigh: g_m = sum_s weights[s] fields[s, m].
struct Mixture {
    const double* fields;
    const double* weights;
    std::int64_t n_sources, n_components, n_points;
};

// Kernels write sigma = s / (sqrt(s + epsilon^2) + epsilon) with s = sum_m g_m^2.
struct ScatteringKernels {
    // sigma[V]
    void (*modulus)(const Mixture&, double epsilon, double* sigma);
    // by_fields[S, M, V] += slope[V] d sigma / d fields
    void (*modulus_adjoint)(const Mixture&, double epsilon, const double* slope, double* by_fields);
    // sums[q] = sum_v sigma^q
    void (*power_sums)(const double* sigma, std::int64_t n_points, const Power*, std::int64_t n_powers, double* sums);
    // slope[V] = sum_q weights[q] q sigma^(q-1)
    void (*power_slopes)(const double* sigma, std::int64_t n_points, const Power*, std::int64_t n_powers,
                         const double* weights, double* slope);
    // the two in one pass, sigma never leaving the cache: sums[q], and by_fields[S, M, V] = their weighted derivative
    void (*field_sums)(const Mixture&, double epsilon, const Power*, std::int64_t n_powers, double* sums);
    void (*field_slopes)(const Mixture&, double epsilon, const Power*, std::int64_t n_powers, const double* weights,
                         double* by_fields);
    // product[K] = filter[K] row[K], times -i where `odd`; complex numbers are pairs
    void (*filter_row)(const double* row, const double* filter, std::int64_t n, bool odd, double* product);
    // Adjoint: by_row[K] += and by_filter[K] += for by_product[K] of a half spectrum, whose frequencies k > 0 stand for
    // -k too.
    void (*filter_row_adjoint)(const double* row, const double* filter, const double* by_product, std::int64_t n, bool odd,
                               double* by_row, double* by_filter);
    // psi[m, K] at w = start + k step, k = 0 ... n-1, rows of the components lie a stride apart
    void (*wavelet_row)(const WaveletShape&, const double* start, const double* step, std::int64_t n, double* row,
                        std::int64_t stride);
    // by_start[3] and by_step[3] += for incoming[m, K]
    void (*wavelet_row_adjoint)(const WaveletShape&, const double* start, const double* step, std::int64_t n,
                                const double* incoming, std::int64_t stride, double* by_start, double* by_step);
};

}  // namespace rhopot
