// What a kernel is given: plain pointers and sizes, no torch, no Python. The header is the documentation.
//
//   c[i, lm, u] = sum_j R[q, l](r_ij) Y_lm(r_ij / |r_ij|),   u = channel(a_j) * Q + q,   lm = l*l + l + m
//   p[i, uv, l] = s_uv / sqrt(2l + 1) sum_m c[i, lm, u] c[i, lm, v],   u <= v,   s = 1 if u = v else sqrt(2)
//
// Lengths in A; arrays are row-major and contiguous; an index range [begin, end) of centres is one piece of work, and two
// pieces never write to the same memory. T is float or double.
#pragma once

#include <cstddef>
#include <cstdint>

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

// One set of kernels, compiled for one instruction set. `workspace` is memory of the size that `*_workspace` asks for (in
// numbers of type T, aligned to 64 bytes), one per thread.
template <class T> struct Kernels {
    const char* name;
    std::size_t (*graph_workspace)(const Basis<T>&, std::int64_t max_edges_per_centre);
    std::size_t (*density_workspace)(const Density<T>&);

    // c[C, LM, U]; or its derivative along the tangents
    void (*expand)(const Graph<T>&, const Basis<T>&, std::int64_t begin, std::int64_t end, T* density, T* workspace);
    // g[E, 3] = sum d[C, LM, U] dc/dr; or its derivative along the tangents
    void (*expand_adjoint)(const Graph<T>&, const Basis<T>&, std::int64_t begin, std::int64_t end, const T* adjoint,
                           T* gradient, T* workspace);

    // p[C, F]; or its derivative along the tangent
    void (*power)(const Density<T>&, std::int64_t begin, std::int64_t end, T* spectrum, T* workspace);
    // d[C, LM, U] = sum h[C, F] dp/dc; or its derivative along the tangent
    void (*power_adjoint)(const Density<T>&, std::int64_t begin, std::int64_t end, const T* adjoint, T* gradient,
                          T* workspace);

    // p[C, F] from the graph
    void (*soap)(const Graph<T>&, const Basis<T>&, std::int64_t begin, std::int64_t end, T* spectrum, T* workspace);
    // g[E, 3] = sum h[C, F] dp/dr
    void (*soap_adjoint)(const Graph<T>&, const Basis<T>&, std::int64_t begin, std::int64_t end, const T* adjoint,
                         T* gradient, T* workspace);
    // p[C, F] and dp[E, 3, F]
    void (*soap_jacobian)(const Graph<T>&, const Basis<T>&, std::int64_t begin, std::int64_t end, T* spectrum,
                          T* jacobian, T* workspace);

    // numbers needed for the packed weights of one species
    std::size_t (*packed_weights)(const Basis<T>&);
    // weights[F] -> matrices W_l so that d_l = W_l c_l is the derivative of sum_f w_f p_f
    void (*pack_weights)(const Basis<T>&, const T* weights, T* packed);
    // energy[C * energy_stride] = sum_f w[a_i, f] p[i, f] and, unless null, g[E, 3] = d energy / dr and p[C, F];
    // n_sets packed weights: one for all centres, or one per species
    void (*soap_linear)(const Graph<T>&, const Basis<T>&, std::int64_t begin, std::int64_t end, const T* packed,
                        std::int64_t n_sets, T* energy, std::int64_t energy_stride, T* gradient, T* spectrum, T* workspace);

    // one centre's row of a sparse-kernel model, see sparse.hpp
    T (*normalise)(T* row, std::ptrdiff_t n);
    T (*kernel_energy)(T* overlap, const T* weights, std::ptrdiff_t n, std::int64_t zeta, T* powers);
    void (*unnormalise)(T* slope, const T* unit, std::ptrdiff_t n, T along, T inverse);
};

// The invariants of order norms: with U = T P columns u = t P + p,
//   s[i, p, n] = sum over l + 2t = n, m of c[i, lm, t P + p]^2,   Phi[i, p (L+1) + n] = s / (sqrt(s + eps^2) + eps)
template <class T> struct Probes {
    int count;       // P
    const T* floor;  // [P (L+1)], eps > 0
};

// Their kernels, by the rules of `Kernels`.
template <class T> struct GmpKernels {
    std::size_t (*graph_workspace)(const Basis<T>&, int n_probes, std::int64_t max_edges_per_centre);
    std::size_t (*density_workspace)(const Density<T>&, int n_probes);

    // Phi[C, F]; or its derivative along the tangent
    void (*invariants)(const Density<T>&, const Probes<T>&, std::int64_t begin, std::int64_t end, T* phi, T* workspace);
    // d[C, LM, U] = sum h[C, F] dPhi/dc; or its derivative along the tangent
    void (*invariants_adjoint)(const Density<T>&, const Probes<T>&, std::int64_t begin, std::int64_t end, const T* adjoint,
                               T* gradient, T* workspace);

    // Phi[C, F] from the graph
    void (*features)(const Graph<T>&, const Basis<T>&, const Probes<T>&, std::int64_t begin, std::int64_t end, T* phi,
                     T* workspace);
    // g[E, 3] = sum h[C, F] dPhi/dr
    void (*adjoint)(const Graph<T>&, const Basis<T>&, const Probes<T>&, std::int64_t begin, std::int64_t end,
                    const T* adjoint, T* gradient, T* workspace);
    // Phi[C, F] and dPhi[E, 3, F]
    void (*jacobian)(const Graph<T>&, const Basis<T>&, const Probes<T>&, std::int64_t begin, std::int64_t end, T* phi,
                     T* jacobian, T* workspace);
};

// All rows of a Jacobian that belong to one centre: [n_rows, n_features].
template <class T> struct RowBlock {
    const T* rows;
    std::int64_t n_rows, n_features;
};

// Their products with the slopes [members, n_features] and forces [members, n_rows] of 1 to MEMBERS_AT_ONCE models, whose
// rows lie a stride apart.
constexpr int MEMBERS_AT_ONCE = 8;
template <class T> struct RowKernels {
    // forces[k, row] = rows[row] . slope[k]; workspace of MEMBERS_AT_ONCE * n_features numbers
    void (*dot)(const RowBlock<T>&, int members, const T* slope, std::int64_t slope_stride, T* forces,
                std::int64_t forces_stride, T* workspace);
    // slope[k] = sum over rows of forces[k, row] rows[row]
    void (*gather)(const RowBlock<T>&, int members, const T* forces, std::int64_t forces_stride, T* slope,
                   std::int64_t slope_stride);
};

template <class T> const HarmonicConstants<T>& harmonic_constants();

// the set for this processor, chosen once; RHOPOT_KERNELS=baseline|v3|v4 in the environment asks for a lesser one
template <class T> const Kernels<T>& kernels();
template <class T> const GmpKernels<T>& gmp_kernels();
template <class T> const RowKernels<T>& row_kernels();

}  // namespace rhopot
