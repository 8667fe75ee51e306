// The kernels of the angular filters, compiled once per instruction set (RHOPOT_VARIANT names it). Nothing here may be an
// inline function of the standard library: the linker would keep one copy for all variants.
//
// One pair of edges at a time: the Gaussians of its cosine that are not rounding noise, then, filters in the lanes, their sum
// with the coefficients and the softplus of it, without leaving the registers.
#include "angular_kernels.hpp"
#include "softplus.hpp"

namespace rhopot::RHOPOT_VARIANT {
namespace {

constexpr int MOST_GAUSSIANS = 64;
// standard deviations beyond which a Gaussian is rounding noise beside 1
template <class T> constexpr T REACH = sizeof(T) == 4 ? T(5.8) : T(8.6);

template <class T, bool DUAL> RHOPOT_INLINE void clear(const Field<T, DUAL>& field, std::ptrdiff_t count) {
    for (std::ptrdiff_t i = 0; i < count; i += WIDTH<T>) field.store(i, zero<T, DUAL>());
}
// what is asked for: the value, or of duals the derivative along the tangents
template <class T, bool DUAL> RHOPOT_INLINE T* wanted(const Field<T, DUAL>& field) {
    if constexpr (DUAL) return field.derivative;
    else return field.value;
}
template <class T, bool DUAL> RHOPOT_INLINE void add_to(const Field<T, DUAL>& field, std::ptrdiff_t at, const auto& x) {
    if constexpr (DUAL) {
        field.value[at] += x.value;
        field.derivative[at] += x.derivative;
    } else {
        field.value[at] += x;
    }
}
template <class V> RHOPOT_INLINE auto total(const V& x) {
    if constexpr (is_dual<V>::value) return Dual<Lane<decltype(x.value)>>{lane_sum(x.value), lane_sum(x.derivative)};
    else return lane_sum(x);
}

// the edges of one centre
template <class T, bool DUAL> struct Star {
    using V = typename Field<T, DUAL>::Vector;
    using Number = std::conditional_t<DUAL, Dual<T>, T>;
    const AngularProblem<T>* problem;
    std::int64_t first;
    int count, window;                       // edges; Gaussians of a cosine that are kept
    Field<T, DUAL> ends;                     // [count, 3 + n_heads]: x, y, z of the direction, and the weights
    Field<T, DUAL> end_gradient;             // [count, 3 + n_heads]
    Field<T, DUAL> gaussians, derivatives;   // [window, padded]: G_c and dG_c/dt
    Field<T, DUAL> gradient;                 // [n_gaussians, n_filters]: dL/dA of an edge
    Field<T, DUAL> sum;                      // [n_filters]

    static int window_of(const AngularProblem<T>& p) {
        const T spacing = T(2) / T(p.n_gaussians - 1);
        const T half = REACH<T> * p.width / spacing;
        const int whole = half < T(MOST_GAUSSIANS) ? 2 * (int(half) + 1) : p.n_gaussians;
        return whole < p.n_gaussians ? whole : p.n_gaussians;
    }
    static std::ptrdiff_t size(const AngularProblem<T>& p, std::int64_t edges) {
        const std::ptrdiff_t d = p.n_filters;
        return (2 * padded<T>(p.end() * edges) + 2 * padded<T>(p.n_gaussians + WIDTH<T>) + (p.n_gaussians + 1) * d) *
               (DUAL ? 2 : 1);
    }
    static Star from(Arena<T>& arena, const AngularProblem<T>& p, std::int64_t edges) {
        Star s;
        s.problem = &p;
        s.window = window_of(p);
        s.ends = arena.template take<DUAL>(padded<T>(p.end() * edges));
        s.end_gradient = arena.template take<DUAL>(padded<T>(p.end() * edges));
        s.gaussians = arena.template take<DUAL>(padded<T>(p.n_gaussians + WIDTH<T>));
        s.derivatives = arena.template take<DUAL>(padded<T>(p.n_gaussians + WIDTH<T>));
        s.gradient = arena.template take<DUAL>(std::ptrdiff_t(p.n_gaussians) * p.n_filters);
        s.sum = arena.template take<DUAL>(p.n_filters);
        return s;
    }

    void gather(std::int64_t centre) {
        const AngularProblem<T>& p = *problem;
        first = p.first_edge[centre];
        count = int(p.first_edge[centre + 1] - first);
        for (int k = 0; k < count; ++k) {
            const std::ptrdiff_t from = (first + k + 1) * p.row() - p.end();
            for (int n = 0; n < p.end(); ++n) {
                ends.value[p.end() * k + n] = p.rows[from + n];
                if constexpr (DUAL) ends.derivative[p.end() * k + n] = p.tangents[from + n];
            }
        }
    }
    // A[c, d] of edge k
    RHOPOT_INLINE Field<const T, DUAL> coefficients(int k) const {
        const std::ptrdiff_t at = (first + k) * problem->row();
        if constexpr (DUAL) return {problem->rows + at, problem->tangents + at};
        else return {problem->rows + at};
    }
    RHOPOT_INLINE Number end(int k, int n) const { return ends.scalar(problem->end() * k + n); }

    // Gaussians of the cosine between edges k and j, and their derivatives where wanted; the number of the first one
    template <bool DERIVATIVES> RHOPOT_INLINE int angles(int k, int j) const {
        const AngularProblem<T>& p = *problem;
        const Number t = end(k, 0) * end(j, 0) + end(k, 1) * end(j, 1) + end(k, 2) * end(j, 2);
        const T spacing = T(2) / T(p.n_gaussians - 1), inverse = 1 / (p.width * p.width);
        T place;
        if constexpr (DUAL) place = t.value;
        else place = t;
        place = (place + 1) / spacing - T(window / 2 - 1);
        const int last = p.n_gaussians - window;
        const int c0 = !(place > 0) ? 0 : place < T(last) ? int(place) : last;
        for (int c = 0; c < window; c += WIDTH<T>) {
            Pack<T> places;
            for (int lane = 0; lane < WIDTH<T>; ++lane) places[lane] = T(lane);
            places = (places + T(c0 + c)) * spacing - T(1);
            const V x = broadcast<V>(t) - places, g = exponential(x * x * (T(-0.5) * inverse));
            gaussians.store(c, g);
            if constexpr (DERIVATIVES) derivatives.store(c, g * x * -inverse);
        }
        return c0;
    }
};

template <class T> std::int64_t most_edges(const AngularProblem<T>& p, std::int64_t begin, std::int64_t end) {
    std::int64_t most = 0;
    for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t n = p.first_edge[i + 1] - p.first_edge[i];
        most = n > most ? n : most;
    }
    return most;
}

// sum_c g[c] a[c, f] for a pack of filters
template <class T, bool DUAL>
RHOPOT_INLINE auto combined(const Field<T, DUAL>& g, const Field<const T, DUAL>& a, int window, std::ptrdiff_t d) {
    using V = typename Field<T, DUAL>::Vector;
    V z = zero<T, DUAL>();
    for (int c = 0; c < window; ++c) {
        const V x = a.load(c * d);
        if constexpr (DUAL) {
            z.value += x.value * g.value[c];
            z.derivative += x.value * g.derivative[c];
            z.derivative += x.derivative * g.value[c];
        } else {
            z += x * g.value[c];
        }
    }
    return z;
}

template <class T, bool DUAL>
void values_with(const AngularProblem<T>& p, std::int64_t begin, std::int64_t end, T* sums, T* memory) {
    using V = typename Field<T, DUAL>::Vector;
    Arena<T> arena{memory};
    auto star = Star<T, DUAL>::from(arena, p, most_edges(p, begin, end));
    const std::ptrdiff_t d = p.n_filters;
    for (std::int64_t i = begin; i < end; ++i) {
        star.gather(i);
        for (int k = 0; k < star.count; ++k) {
            clear(star.sum, d);
            for (int j = 0; j < star.count; ++j) {
                const int c0 = star.template angles<false>(k, j);
                const auto a = star.coefficients(k).at(c0 * d);
                for (int head = 0; head < p.n_heads; ++head) {
                    const V w = broadcast<V>(star.end(j, 3 + head));
                    const std::ptrdiff_t last = std::ptrdiff_t(head + 1) * p.per_head();
                    for (std::ptrdiff_t f = last - p.per_head(); f < last; f += WIDTH<T>) {
                        const V z = combined<T, DUAL>(star.gaussians, a.at(f), star.window, d);
                        star.sum.store(f, star.sum.load(f) + w * shifted_softplus(z).value);
                    }
                }
            }
            T* to = sums + (star.first + k) * d;
            for (std::ptrdiff_t f = 0; f < d; f += WIDTH<T>) store_pack<T>(to + f, load_pack<T>(wanted(star.sum) + f));
        }
    }
}

// adds what edges k and j give to s and dL/dA of k, and to dL/du and dL/dw of both; h[D] of edge k
template <class T, bool DUAL> RHOPOT_INLINE void adjoint_of_pair(const Star<T, DUAL>& star, int k, int j, const T* h) {
    using V = typename Field<T, DUAL>::Vector;
    const AngularProblem<T>& p = *star.problem;
    const std::ptrdiff_t d = p.n_filters;
    const int c0 = star.template angles<true>(k, j);
    const auto a = star.coefficients(k).at(c0 * d);
    const auto gradient = star.gradient.at(c0 * d);
    V by_cosine = zero<T, DUAL>();
    for (int head = 0; head < p.n_heads; ++head) {
        const V w = broadcast<V>(star.end(j, 3 + head));
        V by_weight = zero<T, DUAL>();
        const std::ptrdiff_t last = std::ptrdiff_t(head + 1) * p.per_head();
        for (std::ptrdiff_t f = last - p.per_head(); f < last; f += WIDTH<T>) {
            const V z = combined<T, DUAL>(star.gaussians, a.at(f), star.window, d);
            const V turned = combined<T, DUAL>(star.derivatives, a.at(f), star.window, d);
            const Pack<T> incoming = load_pack<T>(h + f);
            const auto y = shifted_softplus(z);
            star.sum.store(f, star.sum.load(f) + w * y.value);
            by_weight += y.value * incoming;
            const V weighted = y.derivative * incoming * w;
            by_cosine += weighted * turned;
            for (int c = 0; c < star.window; ++c) {
                V to = gradient.load(c * d + f);
                if constexpr (DUAL) {
                    to.value += weighted.value * star.gaussians.value[c];
                    to.derivative += weighted.value * star.gaussians.derivative[c];
                    to.derivative += weighted.derivative * star.gaussians.value[c];
                } else {
                    to += weighted * star.gaussians.value[c];
                }
                gradient.store(c * d + f, to);
            }
        }
        add_to<T, DUAL>(star.end_gradient, p.end() * j + 3 + head, total(by_weight));
    }
    const auto by_t = total(by_cosine);
    for (int axis = 0; axis < 3; ++axis) {
        add_to<T, DUAL>(star.end_gradient, p.end() * j + axis, by_t * star.end(k, axis));
        add_to<T, DUAL>(star.end_gradient, p.end() * k + axis, by_t * star.end(j, axis));
    }
}

template <class T, bool DUAL>
void adjoint_with(const AngularProblem<T>& p, std::int64_t begin, std::int64_t end, const T* h, T* gradient, T* sums,
                  T* memory) {
    Arena<T> arena{memory};
    auto star = Star<T, DUAL>::from(arena, p, most_edges(p, begin, end));
    const std::ptrdiff_t d = p.n_filters, size = p.row() - p.end();
    for (std::int64_t i = begin; i < end; ++i) {
        star.gather(i);
        clear(star.end_gradient, p.end() * star.count);
        for (int k = 0; k < star.count; ++k) {
            clear(star.gradient, size);
            clear(star.sum, d);
            for (int j = 0; j < star.count; ++j) adjoint_of_pair(star, k, j, h + (star.first + k) * d);
            T* to = gradient + (star.first + k) * p.row();
            for (std::ptrdiff_t f = 0; f < size; f += WIDTH<T>) {
                store_pack<T>(to + f, load_pack<T>(wanted(star.gradient) + f));
            }
            if (sums == nullptr) continue;
            T* sum = sums + (star.first + k) * d;
            for (std::ptrdiff_t f = 0; f < d; f += WIDTH<T>) store_pack<T>(sum + f, load_pack<T>(wanted(star.sum) + f));
        }
        for (int k = 0; k < star.count; ++k) {
            T* to = gradient + (star.first + k) * p.row() + size;
            for (int n = 0; n < p.end(); ++n) to[n] = wanted(star.end_gradient)[p.end() * k + n];
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
