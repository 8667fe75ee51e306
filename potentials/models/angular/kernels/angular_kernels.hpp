// What a kernel of the angular filters is given: plain pointers and sizes, no torch, no Python.
//
//   s[e, d] = sum over all edges e' of the centre of e   w[e', h(d)] ssp( sum_c A[e, c, d] G_c(u_e . u_e') )
//   G_c(t) = exp(-(t - t_c)^2 / (2 width^2)), t_c equidistant from -1 to 1,   ssp(z) = log((1 + e^z) / 2)
//
// Filters d come in equal groups, heads h, each with a weight of its own. A row of an edge holds A[c, d], then its direction
// u (x, y, z) and its weights w[h]. Arrays are row-major and contiguous; an
// index range [begin, end) of centres is one piece of work. T is float or double.
#pragma once

#include "density/kernels/dispatch.hpp"

#include <cstddef>
#include <cstdint>

namespace rhopot {

template <class T> struct AngularProblem {
    const T* rows;                   // [E, n_gaussians * n_filters + 3 + n_heads]
    const T* tangents;               // of the rows: direction of a derivative
    bool along_tangents;             // whether that derivative is wanted instead of the value
    const std::int64_t* first_edge;  // [C + 1]
    T width;
    int n_gaussians;  // at least 2
    int n_filters;  // a multiple of 8 and of n_heads
    int n_heads;

    int end() const { return 3 + n_heads; }  // direction and weights
    int per_head() const { return n_filters / n_heads; }
    std::ptrdiff_t row() const { return std::ptrdiff_t(n_gaussians) * n_filters + end(); }
};

template <class T> struct AngularKernels {
    std::size_t (*workspace)(const AngularProblem<T>&, std::int64_t max_edges_per_centre);
    // s[E, D]; or its derivative along the tangents
    void (*values)(const AngularProblem<T>&, std::int64_t begin, std::int64_t end, T* sums, T* workspace);
    // dL/d(rows) for dL/ds = h[E, D]; or its derivative along the tangents, and then s's too (sums, where not null)
    void (*adjoint)(const AngularProblem<T>&, std::int64_t begin, std::int64_t end, const T* h, T* gradient, T* sums,
                    T* workspace);
};
RHOPOT_IN_EVERY_VARIANT(template <class T> const AngularKernels<T>& angular_kernels())
template <class T> const AngularKernels<T>& angular_kernels() { return RHOPOT_CHOSEN(angular_kernels<T>)(); }

}  // namespace rhopot
