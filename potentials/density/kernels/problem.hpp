// What a kernel is given: plain pointers and sizes, no torch, no Python. The header is the documentation.
//
//   c[i, lm, u] = sum_j R[q, l](r_ij) Y_lm(r_ij / |r_ij|),   u = channel(a_j) * Q + q,   lm = l*l + l + m
//
// Lengths in A; arrays are row-major and contiguous; an index range [begin, end) of centres is one piece of work, and two
// pieces never write to the same memory. T is float or double.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dispatch.hpp"

namespace rhopot {

constexpr int L_LIMIT = 12;

// constants of the harmonics' recurrences, see harmonics.hpp
template <class T> struct HarmonicConstants {
    T diagonal[L_LIMIT + 2];                  // Pi(m, m)
    T factor[L_LIMIT + 1][L_LIMIT + 1];       // Pi(l, m) = factor (z Pi(l-1, m) - offset Pi(l-2, m))
    T offset[L_LIMIT + 1][L_LIMIT + 1];
    T raise[L_LIMIT + 1][L_LIMIT + 1];        // d Pi(l, m) / dz = raise Pi(l, m+1)
};

// the graph: edges sorted by centre
template <class T> struct Graph {
    const T* edge_vectors;          // [E, 3], r_j - r_i
    const T* tangents;              // [E, 3] direction of a derivative
    bool along_tangents;            // whether that derivative is wanted instead of the value
    const std::int64_t* first_edge; // [C + 1]
    const std::int64_t* neighbour;  // [E] atom index
    const std::int64_t* centre;     // [C] atom index
    const std::int64_t* species;    // [N]
};

// Which columns of the table each degree reads, and where they stand in an edge's row of evaluated functions. A run is a
// stretch of the table's row (L+1, Q) that is evaluated at once.
struct Columns {
    // Runs are padded to this many numbers, whole packs of every instruction set.
    static constexpr std::ptrdiff_t MULTIPLE = 8;
    static std::ptrdiff_t padded(std::ptrdiff_t n) { return (n + MULTIPLE - 1) / MULTIPLE * MULTIPLE; }
    struct Run {
        std::ptrdiff_t from, to, count;
    };
    int used[L_LIMIT + 1];              // degree l reads its first used[l] columns
    std::ptrdiff_t first[L_LIMIT + 1];  // where they begin in an edge's row
    std::ptrdiff_t row;                 // length of that row, a multiple of MULTIPLE
    int n_runs;
    Run runs[L_LIMIT + 1];
};

// the radial functions as a spline table: value, first and second derivative at equidistant knots
template <class T> struct Basis {
    const T* radial;                      // [A, K, 3, L+1, Q]
    const std::int64_t* species_channel;  // [A]
    std::int64_t n_knots;
    int l_max;
    int n_radial;
    int n_channels;
    T cutoff;
    T center_weight;
    Columns columns;
    const HarmonicConstants<T>* constants;
};

// a density that already exists: [C, (L+1)^2, U]
template <class T> struct Density {
    const T* value;
    const T* tangent;    // [C, (L+1)^2, U] direction of a derivative
    bool along_tangent;  // whether that derivative is wanted instead of the value
    int l_max;
    int n_channels_total;  // U
};

// Kernels of the expansion, by the rules of all sets of kernels: `workspace` is memory of the size that a function *workspace asks
// for (in numbers of type T, aligned to 64 bytes), one per thread.
template <class T> struct ExpansionKernels {
    std::size_t (*workspace)(const Basis<T>&);
    // c[C, LM, U]; or its derivative along the tangents
    void (*values)(const Graph<T>&, const Basis<T>&, std::int64_t begin, std::int64_t end, T* density, T* workspace);
    // g[E, 3] = sum d[C, LM, U] dc/dr; or its derivative along the tangents
    void (*adjoint)(const Graph<T>&, const Basis<T>&, std::int64_t begin, std::int64_t end, const T* adjoint, T* gradient,
                    T* workspace);
};
RHOPOT_IN_EVERY_VARIANT(template <class T> const ExpansionKernels<T>& expansion_kernels())
template <class T> const ExpansionKernels<T>& expansion_kernels() { return RHOPOT_CHOSEN(expansion_kernels<T>)(); }

template <class T> const HarmonicConstants<T>& harmonic_constants();

}  // namespace rhopot
