// The kernels of multispectra, by the rules of problem.hpp.
#pragma once

#include "density/kernels/problem.hpp"
#include "terms.hpp"

namespace rhopot {

template <class T> struct MultispectrumKernels {
    std::size_t (*workspace)(const MultispectrumTerms<T>&);
    // p[C, F]; or its derivative along the tangent
    void (*values)(const MultispectrumTerms<T>&, const Density<T>&, std::int64_t begin, std::int64_t end, T* features,
                   T* workspace);
    // d[C, LM, U] = sum h[C, F] dp/dc; or its derivative along the tangent
    void (*adjoint)(const MultispectrumTerms<T>&, const Density<T>&, std::int64_t begin, std::int64_t end, const T* adjoint,
                    T* gradient, T* workspace);
};
RHOPOT_IN_EVERY_VARIANT(template <class T> const MultispectrumKernels<T>& multispectrum_kernels())
template <class T> const MultispectrumKernels<T>& multispectrum_kernels() { return RHOPOT_CHOSEN(multispectrum_kernels<T>)(); }

}  // namespace rhopot
