// The kernels of the order norms, by the rules of problem.hpp.
#pragma once

#include "density/kernels/problem.hpp"

namespace rhopot {

// The invariants of order norms: with U = T P columns u = t P + p,
//   s[i, p, n] = sum over l + 2t = n, m of c[i, lm, t P + p]^2,   Phi[i, p (L+1) + n] = s / (sqrt(s + eps^2) + eps)
template <class T> struct Probes {
    int count;       // P
    const T* floor;  // [P (L+1)], eps > 0
};

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
    void (*adjoint)(const Graph<T>&, const Basis<T>&, const Probes<T>&, std::int64_t begin, std::int64_t end, const T* adjoint,
                    T* gradient, T* workspace);
    // Phi[C, F] and dPhi[E, 3, F]
    void (*jacobian)(const Graph<T>&, const Basis<T>&, const Probes<T>&, std::int64_t begin, std::int64_t end, T* phi,
                     T* jacobian, T* workspace);
};
RHOPOT_IN_EVERY_VARIANT(template <class T> const GmpKernels<T>& gmp_kernels())
template <class T> const GmpKernels<T>& gmp_kernels() { return RHOPOT_CHOSEN(gmp_kernels<T>)(); }

}  // namespace rhopot
