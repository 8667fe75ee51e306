// What a kernel of the symmetry functions is given: plain pointers and sizes, no torch, no Python.
//
//   G2[a, f](i)           = sum_j  exp(-eta (r_ij - R_s)^2) f_c(r_ij)
//   G4[(a <= b), g](i)    = sum_{j<k}  2^(1-zeta) (1 + lambda cos t_jik)^zeta  h(r_ij) h(r_ik) h(r_jk)
//   h(r)                  = exp(-eta r^2) f_c(r)
//
// Feature index: a * n_radial + f, then
//   n_species * n_radial + pair(a, b) * n_angular + (eta * n_zeta + zeta) * n_sign + sign.
// Lengths in A; arrays are row-major and contiguous; an index range [begin, end) of centres is one piece of work.
#pragma once

#include "density/kernels/problem.hpp"  // Graph

namespace rhopot {

enum class FadeKind { quintic, shifted_cosine };

// the grid of functions and their cutoff
template <class T> struct SymmetryGrid {
    const T* radial;           // [n_radial, 2]: eta, R_s
    const T* eta;              // [n_eta] of G4
    const std::int64_t* zeta;  // [n_zeta], at least 1
    const std::int64_t* sign;  // [n_sign], +1 or -1
    int n_radial;
    int n_eta;
    int n_zeta;
    int n_sign;
    int n_species;
    FadeKind fade;
    T cutoff;
    T width;  // f_c falls from cutoff - width to cutoff

    int n_directions() const { return n_zeta * n_sign; }
    int n_angular() const { return n_eta * n_zeta * n_sign; }
    int n_features() const { return n_species * n_radial + n_species * (n_species + 1) / 2 * n_angular(); }
    // where the features of a pair of species a <= b begin
    int first_angular(int a, int b) const { return n_species * n_radial + (a * (2 * n_species - a - 1) / 2 + b) * n_angular(); }
};

// One set of kernels, compiled for one instruction set; `workspace` as in the engine's kernels.
template <class T> struct SymmetryKernels {
    std::size_t (*workspace)(const SymmetryGrid<T>&, std::int64_t max_edges_per_centre);
    // G[C, F]; or its derivative along the tangents
    void (*values)(const Graph<T>&, const SymmetryGrid<T>&, std::int64_t begin, std::int64_t end, T* features, T* workspace);
    // g[E, 3] = sum d[C, F] dG/dr; or its derivative along the tangents
    void (*adjoint)(const Graph<T>&, const SymmetryGrid<T>&, std::int64_t begin, std::int64_t end, const T* incoming,
                    T* gradient, T* workspace);
    // G[C, F] and dG[E, 3, F]
    void (*jacobian)(const Graph<T>&, const SymmetryGrid<T>&, std::int64_t begin, std::int64_t end, T* features, T* derivatives,
                     T* workspace);
};
RHOPOT_IN_EVERY_VARIANT(template <class T> const SymmetryKernels<T>& symmetry_kernels())
template <class T> const SymmetryKernels<T>& symmetry_kernels() { return RHOPOT_CHOSEN(symmetry_kernels<T>)(); }

}  // namespace rhopot
