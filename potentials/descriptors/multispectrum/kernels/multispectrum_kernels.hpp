// The kernels of multispectra and of linear models on them, by the rules of problem.hpp.
#pragma once

#include "density/kernels/problem.hpp"
#include "terms.hpp"

namespace rhopot {

// One set of weights for all centres, or one per species.
template <class T> struct LinearWeights {
    const T* values;  // [n_sets, F]
    std::int64_t n_sets;
    std::int64_t most_edges;  // of a centre
};

template <class T> struct LinearResults {
    T* energy;  // [C * energy_stride] = sum_f w[a_i, f] p[i, f]
    std::int64_t energy_stride;
    T* gradient;  // g[E, 3] = d energy / dr, or null
    T* features;  // p[C, F], or null
};

template <class T> struct MultispectrumKernels {
    std::size_t (*density_workspace)(const MultispectrumTerms<T>&);
    std::size_t (*graph_workspace)(const MultispectrumTerms<T>&, const Basis<T>&, std::int64_t max_edges_per_centre);

    // p[C, F]; or its derivative along the tangent
    void (*values)(const MultispectrumTerms<T>&, const Density<T>&, std::int64_t begin, std::int64_t end, T* features,
                   T* workspace);
    // d[C, LM, U] = sum h[C, F] dp/dc; or its derivative along the tangent
    void (*adjoint)(const MultispectrumTerms<T>&, const Density<T>&, std::int64_t begin, std::int64_t end, const T* adjoint,
                    T* gradient, T* workspace);

    // p[C, F] and dp[E, 3, F]
    void (*jacobian)(const MultispectrumTerms<T>&, const Graph<T>&, const Basis<T>&, std::int64_t begin, std::int64_t end,
                     T* features, T* jacobian, T* workspace);
    // energies of a linear model, with what else the results have a place for
    void (*linear)(const MultispectrumTerms<T>&, const Graph<T>&, const Basis<T>&, std::int64_t begin, std::int64_t end,
                   const LinearWeights<T>& weights, const LinearResults<T>& results, T* workspace);
};
RHOPOT_IN_EVERY_VARIANT(template <class T> const MultispectrumKernels<T>& multispectrum_kernels())
template <class T> const MultispectrumKernels<T>& multispectrum_kernels() { return RHOPOT_CHOSEN(multispectrum_kernels<T>)(); }

}  // namespace rhopot
