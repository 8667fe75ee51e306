// The kernels of the power spectrum and of linear models on it, by the rules of problem.hpp.
//
//   p[i, uv, l] = s_uv / sqrt(2l + 1) sum_m c[i, lm, u] c[i, lm, v],   u <= v,   s = 1 if u = v else sqrt(2)
#pragma once

#include "density/kernels/problem.hpp"

namespace rhopot {

template <class T> struct SoapKernels {
    std::size_t (*graph_workspace)(const Basis<T>&, std::int64_t max_edges_per_centre);
    std::size_t (*density_workspace)(const Density<T>&);

    // p[C, F]; or its derivative along the tangent
    void (*power)(const Density<T>&, std::int64_t begin, std::int64_t end, T* spectrum, T* workspace);
    // d[C, LM, U] = sum h[C, F] dp/dc; or its derivative along the tangent
    void (*power_adjoint)(const Density<T>&, std::int64_t begin, std::int64_t end, const T* adjoint, T* gradient, T* workspace);

    // p[C, F] from the graph
    void (*soap)(const Graph<T>&, const Basis<T>&, std::int64_t begin, std::int64_t end, T* spectrum, T* workspace);
    // g[E, 3] = sum h[C, F] dp/dr
    void (*soap_adjoint)(const Graph<T>&, const Basis<T>&, std::int64_t begin, std::int64_t end, const T* adjoint, T* gradient,
                         T* workspace);
    // p[C, F] and dp[E, 3, F]
    void (*soap_jacobian)(const Graph<T>&, const Basis<T>&, std::int64_t begin, std::int64_t end, T* spectrum, T* jacobian,
                          T* workspace);

    // numbers needed for the packed weights of one species
    std::size_t (*packed_weights)(const Basis<T>&);
    // weights[F] -> matrices W_l so that d_l = W_l c_l is the derivative of sum_f w_f p_f
    void (*pack_weights)(const Basis<T>&, const T* weights, T* packed);
    // energy[C * energy_stride] = sum_f w[a_i, f] p[i, f] and, unless null, g[E, 3] = d energy / dr and p[C, F];
    // n_sets packed weights: one for all centres, or one per species
    void (*soap_linear)(const Graph<T>&, const Basis<T>&, std::int64_t begin, std::int64_t end, const T* packed,
                        std::int64_t n_sets, T* energy, std::int64_t energy_stride, T* gradient, T* spectrum, T* workspace);
};
RHOPOT_IN_EVERY_VARIANT(template <class T> const SoapKernels<T>& soap_kernels())
template <class T> const SoapKernels<T>& soap_kernels() { return RHOPOT_CHOSEN(soap_kernels<T>)(); }

}  // namespace rhopot
