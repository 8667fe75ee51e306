// The kernels of multispectra, compiled once per instruction set.
#include "invariants.hpp"
#include "multispectrum_kernels.hpp"

namespace rhopot::RHOPOT_VARIANT {
namespace {

template <class T> std::size_t workspace(const MultispectrumTerms<T>& terms) {
    return std::size_t(2 * Multispectrum<T, true>::size(terms));
}

// densities of the centres from `first` on, a lane for each of `count`; the others are zero
template <class T> void gather(const T* from, std::ptrdiff_t size, std::int64_t first, int count, T* to) {
    for (std::ptrdiff_t i = 0; i < size; ++i) {
        for (int lane = 0; lane < WIDTH<T>; ++lane)
            to[i * WIDTH<T> + lane] = lane < count ? from[(first + lane) * size + i] : T(0);
    }
}

template <class T, bool DUAL> struct Lanes {
    Multispectrum<T, DUAL> spectrum;
    const Density<T>& density;
    std::ptrdiff_t size;

    Lanes(const MultispectrumTerms<T>& terms, const Density<T>& source, Arena<T>& arena)
        : spectrum(terms, arena), density(source), size(std::ptrdiff_t(terms.l_max + 1) * (terms.l_max + 1) * terms.width) {}

    // work(first, count) for the packs of the centres [begin, end), whose densities are loaded
    template <class Work> void over_packs(std::int64_t begin, std::int64_t end, const Work& work) {
        for (std::int64_t i = begin; i < end; i += WIDTH<T>) {
            const int count = int(end - i < WIDTH<T> ? end - i : WIDTH<T>);
            gather(density.value, size, i, count, spectrum.c.value);
            if constexpr (DUAL) gather(density.tangent, size, i, count, spectrum.c.derivative);
            work(i, count);
        }
    }
};

template <class T, bool DUAL> RHOPOT_INLINE Pack<T> wanted(const typename Field<T, DUAL>::Vector& x) {
    if constexpr (DUAL) return x.derivative;
    else return x;
}

template <class T, bool DUAL>
void values_with(const MultispectrumTerms<T>& terms, const Density<T>& density, std::int64_t begin, std::int64_t end,
                 T* features, T* workspace) {
    Arena<T> arena{workspace};
    Lanes<T, DUAL> lanes(terms, density, arena);
    const std::int64_t n = terms.n_features();
    lanes.over_packs(begin, end, [&](std::int64_t i, int count) {
        lanes.spectrum.values([&](std::int64_t f, const typename Field<T, DUAL>::Vector& x) {
            const Pack<T> value = wanted<T, DUAL>(x);
            for (int lane = 0; lane < count; ++lane) features[(i + lane) * n + f] = value[lane];
        });
    });
}

template <class T>
void values(const MultispectrumTerms<T>& terms, const Density<T>& density, std::int64_t begin, std::int64_t end, T* features,
            T* workspace) {
    if (density.along_tangent) values_with<T, true>(terms, density, begin, end, features, workspace);
    else values_with<T, false>(terms, density, begin, end, features, workspace);
}

template <class T, bool DUAL>
void adjoint_with(const MultispectrumTerms<T>& terms, const Density<T>& density, std::int64_t begin, std::int64_t end,
                  const T* incoming, T* gradient, T* workspace) {
    Arena<T> arena{workspace};
    Lanes<T, DUAL> lanes(terms, density, arena);
    const std::int64_t n = terms.n_features();
    lanes.over_packs(begin, end, [&](std::int64_t i, int count) {
        lanes.spectrum.adjoint([&](std::int64_t f) {
            Pack<T> h{};
            for (int lane = 0; lane < count; ++lane) h[lane] = incoming[(i + lane) * n + f];
            return h;
        });
        const T* from = lanes.spectrum.d.value;
        if constexpr (DUAL) from = lanes.spectrum.d.derivative;
        for (std::ptrdiff_t k = 0; k < lanes.size; ++k) {
            for (int lane = 0; lane < count; ++lane) gradient[(i + lane) * lanes.size + k] = from[k * WIDTH<T> + lane];
        }
    });
}

template <class T>
void adjoint(const MultispectrumTerms<T>& terms, const Density<T>& density, std::int64_t begin, std::int64_t end,
             const T* incoming, T* gradient, T* workspace) {
    if (density.along_tangent) adjoint_with<T, true>(terms, density, begin, end, incoming, gradient, workspace);
    else adjoint_with<T, false>(terms, density, begin, end, incoming, gradient, workspace);
}

}  // namespace

template <class T> const MultispectrumKernels<T>& multispectrum_kernels() {
    static constexpr MultispectrumKernels<T> kernels{workspace<T>, values<T>, adjoint<T>};
    return kernels;
}
template const MultispectrumKernels<double>& multispectrum_kernels<double>();
template const MultispectrumKernels<float>& multispectrum_kernels<float>();

}  // namespace rhopot::RHOPOT_VARIANT
