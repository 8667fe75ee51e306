// Loops over grid points and frequencies of wavelet scattering, without torch: one set per instruction set. Float64 only.
//
//   V points of a grid, M components of a wavelet, S sources (species, or one channel), K frequencies of a row
#pragma once

#include <cstdint>

#include "density/kernels/problem.hpp"

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

// Transforms along one axis of a grid.
struct Axis {
    std::int64_t n;
    std::int64_t n_factors;
    const std::int64_t* factors;  // radices, their product is n
    const double* roots;          // [n, 2] exp(2 pi i k / n)
};

// A grid and the layout of its half spectra: number k1 * plane + k2 * row + k3; of a row, first the real numbers, then the
// imaginary ones (fewer pages are open at once than with two arrays).
struct Lattice {
    Axis axes[3];
    std::int64_t half;        // n3/2 + 1
    std::int64_t band;        // frequencies 0 <= k3 < n3/2; what a half spectrum has beyond them is zero
    std::int64_t imaginary;   // where imaginary numbers begin in a row: half, padded to whole packs of every instruction set
    std::int64_t row, plane;
    std::int64_t size;        // numbers of a half spectrum: n1 * plane
    std::int64_t lines;       // packs of lines that are transformed at once
    std::int64_t scratch;     // numbers of one batch of such lines
};

// a half spectrum in a lattice's layout
struct Split {
    double *re, *im;
};

// Kernels write sigma = s / (sqrt(s + epsilon^2) + epsilon) with s = sum_m g_m^2.
struct ScatteringKernels {
    std::int64_t lanes;  // numbers in a pack
    // sigma[V]
    void (*modulus)(const Mixture&, double epsilon, double* sigma);
    // by_fields[S, M, V] += derivative[V] d sigma / d fields
    void (*modulus_adjoint)(const Mixture&, double epsilon, const double* derivative, double* by_fields);
    // sums[q] = sum_v sigma^q
    void (*power_sums)(const double* sigma, std::int64_t n_points, const Power*, std::int64_t n_powers, double* sums);
    // derivative[V] = sum_q weights[q] q sigma^(q-1)
    void (*power_derivatives)(const double* sigma, std::int64_t n_points, const Power*, std::int64_t n_powers,
                              const double* weights, double* derivative);
    // the two in one pass, sigma never leaving the cache: sums[q], and by_fields[S, M, V] = their weighted derivative
    void (*field_sums)(const Mixture&, double epsilon, const Power*, std::int64_t n_powers, double* sums);
    void (*field_derivatives)(const Mixture&, double epsilon, const Power*, std::int64_t n_powers, const double* weights,
                              double* by_fields);
    // points[n1, n2, n3] of a half spectrum, which is written over, and sum_r points[r] exp(-2 pi i (k1 r1 / n1 + ...)) of the
    // band; `scratch` holds three batches of lines
    void (*spectrum_to_points)(const Lattice& g, const Split& spectrum, double* scratch, double* points);
    void (*points_to_spectrum)(const Lattice& g, const double* points, double* scratch, const Split& spectrum);
    // points[n1, n2, n3] of the half spectrum filter * spectrum; `filter` has rows of g.half numbers, of which `readable` may be
    // read. `work` is of the size of the spectrum.
    void (*filtered_points)(const Lattice& g, const Split& spectrum, const double* filter, std::int64_t readable,
                            const Split& work, double* scratch, double* points);
    // its adjoint: by_spectrum and by_filter += for by_points; frequencies k3 > 0 stand for -k3 too
    void (*filtered_points_adjoint)(const Lattice& g, const Split& spectrum, const double* filter, std::int64_t readable,
                                    const double* by_points, const Split& work, double* scratch, const Split& by_spectrum,
                                    double* by_filter);
    // n complex pairs of a row, times `scale`, and -i where `odd`, as real and imaginary numbers apart; and row += of the adjoint
    void (*split_row)(const double* row, double scale, std::int64_t n, bool odd, double* re, double* im);
    void (*join_row)(const double* re, const double* im, double scale, std::int64_t n, bool odd, double* row);
    // psi[m, K] at w = start + k step, k = 0 ... n-1, rows of the components lie a stride apart
    void (*wavelet_row)(const WaveletShape&, const double* start, const double* step, std::int64_t n, double* row,
                        std::int64_t stride);
    // by_start[3] and by_step[3] += for incoming[m, K]
    void (*wavelet_row_adjoint)(const WaveletShape&, const double* start, const double* step, std::int64_t n,
                                const double* incoming, std::int64_t stride, double* by_start, double* by_step);
};
RHOPOT_IN_EVERY_VARIANT(const ScatteringKernels& scattering_kernels())
inline const ScatteringKernels& scattering_kernels() { return RHOPOT_CHOSEN(scattering_kernels)(); }

}  // namespace rhopot
