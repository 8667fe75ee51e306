// The kernels of the angular filters, compiled once per instruction set (RHOPOT_VARIANT names it). Nothing here may be an
// inline function of the standard library: the linker would keep one copy for all variants.
//
// One edge k at a time and, filters in the lanes, one or two packs of filters: over all edges j, the sum of the Gaussians of
// their cosine that are not rounding noise with the coefficients, and the softplus of it, without leaving the registers.
#include "star.hpp"

namespace rhopot::RHOPOT_VARIANT {
namespace {

// z = sum_c A_c G_c of `COLUMNS` packs of filters and, where wanted, its derivative in the cosine
template <int COLUMNS, bool DERIVATIVES, class V, class T, bool DUAL>
RHOPOT_INLINE void combine(const Star<T, DUAL>& star, int j, std::ptrdiff_t f, V (&z)[COLUMNS], V (&turned)[COLUMNS]) {
    using P = decltype(wanted(V{}));
    const std::ptrdiff_t d = star.problem->n_filters;
    const auto a = star.coefficients.at(star.window_begin[j] * d + f);
    const auto g = star.gaussians.at(std::ptrdiff_t(j) * star.stride),
               slope = star.derivatives.at(std::ptrdiff_t(j) * star.stride);
    for (int c = 0; c < star.window; ++c) {
        const auto by = g.scalar(c), by_slope = slope.scalar(c);
        RHOPOT_UNROLL
        for (int q = 0; q < COLUMNS; ++q) {
            const V x = read<P>(a, c * d + q * LANES<P>);
            add_product(z[q], x, by);
            if constexpr (DERIVATIVES) add_product(turned[q], x, by_slope);
        }
    }
}

// COLUMNS packs P of filters
template <class P, int COLUMNS> struct Filters {
    std::ptrdiff_t first;
};

// s of edge k for filters f, f + 1, ...
template <class P, int COLUMNS, class T, bool DUAL>
void values_of(const Filters<P, COLUMNS>& filters, const Star<T, DUAL>& star, T* sums) {
    const std::ptrdiff_t f = filters.first;
    using V = std::conditional_t<DUAL, Dual<P>, P>;
    P sum[COLUMNS]{};
    for (int j = 0; j < star.count; ++j) {
        V z[COLUMNS]{};
        combine<COLUMNS, false>(star, j, f, z, z);
        RHOPOT_UNROLL
        for (int q = 0; q < COLUMNS; ++q) {
            const V w = read<P>(star.weights, j * std::ptrdiff_t(star.problem->n_filters) + f + q * LANES<P>);
            add_wanted(sum[q], shifted_softplus(z[q]).value, w);
        }
    }
    RHOPOT_UNROLL
    for (int q = 0; q < COLUMNS; ++q) write(sums + f + q * LANES<P>, sum[q]);
}

// the same, and what edge k with these filters gives to dL/dA of k, dL/dw of all edges and dL/dcosine; h[D] of edge k
template <class P, int COLUMNS, class T, bool DUAL>
void adjoint_of(const Filters<P, COLUMNS>& filters, const Star<T, DUAL>& star, const T* h, T* sums) {
    using V = std::conditional_t<DUAL, Dual<P>, P>;
    const std::ptrdiff_t d = star.problem->n_filters, f = filters.first;
    P sum[COLUMNS]{}, incoming[COLUMNS];
    RHOPOT_UNROLL
    for (int q = 0; q < COLUMNS; ++q) incoming[q] = read<P>(h + f + q * LANES<P>);
    for (int j = 0; j < star.count; ++j) {
        V z[COLUMNS]{}, turned[COLUMNS]{}, weighted[COLUMNS], by_cosine{};
        combine<COLUMNS, true>(star, j, f, z, turned);
        RHOPOT_UNROLL
        for (int q = 0; q < COLUMNS; ++q) {
            const std::ptrdiff_t at = j * d + f + q * LANES<P>;
            const V w = read<P>(star.weights, at);
            const auto y = shifted_softplus(z[q]);
            add_wanted(sum[q], y.value, w);
            write(star.by_weight + at, P(read<P>(star.by_weight + at) + wanted(y.value) * incoming[q]));
            weighted[q] = y.derivative * incoming[q] * w;
            add_product(by_cosine, weighted[q], turned[q]);
        }
        T* gradient = star.gradient + star.window_begin[j] * d + f;
        const auto g = star.gaussians.at(std::ptrdiff_t(j) * star.stride);
        for (int c = 0; c < star.window; ++c) {
            const auto by = g.scalar(c);
            RHOPOT_UNROLL
            for (int q = 0; q < COLUMNS; ++q) {
                P to = read<P>(gradient + c * d + q * LANES<P>);
                add_wanted(to, weighted[q], by);
                write(gradient + c * d + q * LANES<P>, to);
            }
        }
        const auto found = total(by_cosine);
        if constexpr (DUAL) {
            star.by_cosine.value[j] += found.value;
            star.by_cosine.derivative[j] += found.derivative;
        } else {
            star.by_cosine.value[j] += found;
        }
    }
    if (sums == nullptr) return;
    RHOPOT_UNROLL
    for (int q = 0; q < COLUMNS; ++q) write(sums + f + q * LANES<P>, sum[q]);
}

// work(Filters) on all filters, two packs at a time where registers suffice
template <class P, class Work> RHOPOT_INLINE void over_filters(std::ptrdiff_t d, const Work& work) {
    std::ptrdiff_t f = 0;
    if constexpr (REGISTERS >= 32) {
        for (; f + 2 * LANES<P> <= d; f += 2 * LANES<P>) work(Filters<P, 2>{f});
    }
    for (; f < d; f += LANES<P>) work(Filters<P, 1>{f});
}
template <class T, class Work> RHOPOT_INLINE void over_filters_of(std::ptrdiff_t d, const Work& work) {
    if constexpr (WIDEST<T> > WIDTH<T>) {
        if (d % WIDEST<T> == 0) return over_filters<typename WidestOf<T>::type>(d, work);
    }
    over_filters<Pack<T>>(d, work);
}

template <class T, bool DUAL>
void values_with(const AngularProblem<T>& p, std::int64_t begin, std::int64_t end, T* sums, T* memory) {
    auto star = Star<T, DUAL>::from(memory, p, most_edges(p, begin, end));
    const std::ptrdiff_t d = p.n_filters;
    for (std::int64_t i = begin; i < end; ++i) {
        star.gather(i);
        for (int k = 0; k < star.count; ++k) {
            star.template turn_to<false>(k);
            T* to = sums + (star.first + k) * d;
            over_filters_of<T>(d, [&](const auto& filters) { values_of(filters, star, to); });
        }
    }
}

// what edge k gives to dL/du of all edges, from dL/dcosine
template <class T, bool DUAL> RHOPOT_INLINE void add_directions(const Star<T, DUAL>& star, int k) {
    for (int i = 0; i < 3; ++i) {
        const auto own = star.axis[i].scalar(k);
        Pack<T> of_k{};
        for (int j = 0; j < star.count; j += WIDTH<T>) {
            const auto by = star.by_cosine.load(j);
            Pack<T> to = load_pack<T>(star.by_axis[i] + j);
            add_wanted(to, by, own);
            store_pack<T>(star.by_axis[i] + j, to);
            add_wanted(of_k, by, star.axis[i].load(j));
        }
        star.by_axis[i][k] += lane_sum(of_k);
    }
}

template <class T, bool DUAL>
void adjoint_with(const AngularProblem<T>& p, std::int64_t begin, std::int64_t end, const T* h, T* gradient, T* sums,
                  T* memory) {
    auto star = Star<T, DUAL>::from(memory, p, most_edges(p, begin, end));
    const std::ptrdiff_t d = p.n_filters, table = p.row() - p.end();
    for (std::int64_t i = begin; i < end; ++i) {
        star.gather(i);
        clear(star.by_weight, star.count * d);
        for (int axis = 0; axis < 3; ++axis) clear(star.by_axis[axis], star.count);
        for (int k = 0; k < star.count; ++k) {
            star.template turn_to<true>(k);
            clear(star.gradient, table);
            clear(star.by_cosine.value, star.count);
            if constexpr (DUAL) clear(star.by_cosine.derivative, star.count);
            const T* incoming = h + (star.first + k) * d;
            T* to = sums == nullptr ? nullptr : sums + (star.first + k) * d;
            over_filters_of<T>(d, [&](const auto& filters) { adjoint_of(filters, star, incoming, to); });
            copy(gradient + (star.first + k) * p.row(), star.gradient, table);
            add_directions(star, k);
        }
        for (int k = 0; k < star.count; ++k) {
            T* to = gradient + (star.first + k) * p.row() + table;
            for (int axis = 0; axis < 3; ++axis) to[axis] = star.by_axis[axis][k];
            const T* from = star.by_weight + k * d;
            for (int head = 0; head < p.n_heads; ++head, from += p.per_head()) {
                T sum = 0;
                for (int f = 0; f < p.per_head(); ++f) sum += from[f];
                to[3 + head] = sum;
            }
        }
    }
}

template <class T> std::size_t workspace(const AngularProblem<T>& p, std::int64_t edges) {
    return std::size_t(Star<T, true>::size(p, edges));
}
template <class T> void values(const AngularProblem<T>& p, std::int64_t begin, std::int64_t end, T* sums, T* memory) {
    if (p.along_tangents) values_with<T, true>(p, begin, end, sums, memory);
    else values_with<T, false>(p, begin, end, sums, memory);
}
template <class T>
void adjoint(const AngularProblem<T>& p, std::int64_t begin, std::int64_t end, const T* h, T* gradient, T* sums, T* memory) {
    if (p.along_tangents) adjoint_with<T, true>(p, begin, end, h, gradient, sums, memory);
    else adjoint_with<T, false>(p, begin, end, h, gradient, sums, memory);
}

}  // namespace

template <class T> const AngularKernels<T>& angular_kernels() {
    static constexpr AngularKernels<T> kernels{workspace<T>, values<T>, adjoint<T>};
    return kernels;
}
template const AngularKernels<double>& angular_kernels<double>();
template const AngularKernels<float>& angular_kernels<float>();

}  // namespace rhopot::RHOPOT_VARIANT
