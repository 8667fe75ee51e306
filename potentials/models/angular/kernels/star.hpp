// The edges of one centre as the kernels of the angular filters hold them: directions, weights of every filter, and of one
// edge at a time its coefficients and the Gaussians of its cosines with all others.
#pragma once

#include "angular_kernels.hpp"
#include "softplus.hpp"

namespace rhopot::RHOPOT_VARIANT {

constexpr int MOST_GAUSSIANS = 64;
// standard deviations beyond which a Gaussian is rounding noise beside 1
template <class T> constexpr T REACH = sizeof(T) == 4 ? T(5.8) : T(8.6);

// Packs of a whole register: rows of filters are long, other than those that WIDTH is made for.
template <class T> constexpr int WIDEST = REGISTER_BYTES / int(sizeof(T));
template <class T> struct WidestOf;
template <> struct WidestOf<double> {
    typedef double type __attribute__((vector_size(REGISTER_BYTES)));
};
template <> struct WidestOf<float> {
    typedef float type __attribute__((vector_size(REGISTER_BYTES)));
};

template <class P, class T> RHOPOT_INLINE P read(const T* from) {
    P x;
    std::memcpy(&x, from, sizeof(x));
    return x;
}
template <class P, class T> RHOPOT_INLINE void write(T* to, const P& x) { std::memcpy(to, &x, sizeof(x)); }
template <class P, class T, bool DUAL> RHOPOT_INLINE auto read(const Field<T, DUAL>& field, std::ptrdiff_t i) {
    if constexpr (DUAL) return Dual<P>{read<P>(field.value + i), read<P>(field.derivative + i)};
    else return read<P>(field.value + i);
}

// sum += a b, as multiply-adds
template <Plain P, Plain X> RHOPOT_INLINE void add_product(P& sum, const P& a, const X& b) { sum += a * b; }
template <class P, class X> RHOPOT_INLINE void add_product(Dual<P>& sum, const Dual<P>& a, const Dual<X>& b) {
    sum.value += a.value * b.value;
    sum.derivative += a.value * b.derivative;
    sum.derivative += a.derivative * b.value;
}
// What is asked for: the value, or of duals the derivative along the tangents.
template <Plain P> RHOPOT_INLINE P wanted(const P& x) { return x; }
template <class P> RHOPOT_INLINE P wanted(const Dual<P>& x) { return x.derivative; }
template <Plain P, Plain X> RHOPOT_INLINE void add_wanted(P& sum, const P& a, const X& b) { sum += a * b; }
template <class P, class X> RHOPOT_INLINE void add_wanted(P& sum, const Dual<P>& a, const Dual<X>& b) {
    sum += a.value * b.derivative;
    sum += a.derivative * b.value;
}
template <Plain P> RHOPOT_INLINE auto total(const P& x) { return lane_sum(x); }
template <class P> RHOPOT_INLINE auto total(const Dual<P>& x) {
    return Dual<Lane<P>>{lane_sum(x.value), lane_sum(x.derivative)};
}

template <class T> RHOPOT_INLINE void clear(T* from, std::ptrdiff_t count) {
    for (std::ptrdiff_t i = 0; i < count; i += WIDTH<T>) store_pack<T>(from + i, Pack<T>{});
}
// whole packs may be read and written beyond count
template <class T> RHOPOT_INLINE void copy(T* to, const T* from, std::ptrdiff_t count) {
    for (std::ptrdiff_t i = 0; i < count; i += WIDTH<T>) store_pack<T>(to + i, load_pack<T>(from + i));
}

template <class T, bool DUAL> struct Star {
    using Number = std::conditional_t<DUAL, Dual<T>, T>;
    const AngularProblem<T>* problem;
    std::int64_t first;
    int count, window, stride;               // edges; Gaussians of a cosine that are kept; from edge to edge in gaussians
    Field<T, DUAL> axis[3];                  // [padded count]: x, y and z of the directions
    Field<T, DUAL> weights;                  // [count, n_filters]
    Field<T, DUAL> cosines, by_cosine;       // [padded count]: between edge k and every other; dL/dcosine
    Field<T, DUAL> gaussians, derivatives;   // [count, stride]: G_c and dG_c/dcosine
    Field<T, DUAL> coefficients;             // [n_gaussians, n_filters]: A of edge k
    T* gradient;                             // [n_gaussians, n_filters]: what is wanted of dL/dA of edge k
    T* by_axis[3];                           // [padded count]
    T* by_weight;                            // [count, n_filters]
    int* window_begin;                       // [count]: the first Gaussian that is kept

    static int window_of(const AngularProblem<T>& p) {
        const T spacing = T(2) / T(p.n_gaussians - 1);
        const T half = REACH<T> * p.width / spacing;
        const int whole = half < T(MOST_GAUSSIANS) ? 2 * (int(half) + 1) : p.n_gaussians;
        return whole < p.n_gaussians ? whole : p.n_gaussians;
    }
    // numbers of one plane, and of one that only `wanted` ones need
    static std::ptrdiff_t size(const AngularProblem<T>& p, std::int64_t edges) {
        const std::ptrdiff_t n = padded<T>(edges), table = std::ptrdiff_t(p.n_gaussians) * p.n_filters;
        const std::ptrdiff_t planes = 5 * n + edges * p.n_filters + 2 * edges * padded<T>(window_of(p)) + table;
        return planes * (DUAL ? 2 : 1) + table + 3 * n + edges * p.n_filters + n + WIDEST<T>;
    }
    static Star from(T* memory, const AngularProblem<T>& p, std::int64_t edges) {
        const std::size_t beyond = reinterpret_cast<std::uintptr_t>(memory) % REGISTER_BYTES;
        Arena<T> arena{beyond == 0 ? memory : memory + (REGISTER_BYTES - beyond) / sizeof(T)};
        const std::ptrdiff_t n = padded<T>(edges), table = std::ptrdiff_t(p.n_gaussians) * p.n_filters;
        Star s;
        s.problem = &p;
        s.window = window_of(p);
        s.stride = int(padded<T>(s.window));
        s.coefficients = arena.template take<DUAL>(table);
        s.weights = arena.template take<DUAL>(edges * p.n_filters);
        s.gradient = arena.template take<false>(table).value;
        s.by_weight = arena.template take<false>(edges * p.n_filters).value;
        s.gaussians = arena.template take<DUAL>(edges * s.stride);
        s.derivatives = arena.template take<DUAL>(edges * s.stride);
        for (int i = 0; i < 3; ++i) s.axis[i] = arena.template take<DUAL>(n);
        for (int i = 0; i < 3; ++i) s.by_axis[i] = arena.template take<false>(n).value;
        s.cosines = arena.template take<DUAL>(n);
        s.by_cosine = arena.template take<DUAL>(n);
        s.window_begin = reinterpret_cast<int*>(arena.next);  // no wider than T
        return s;
    }

    // of one plane of rows: directions, and weights once for each filter
    void gather(const T* rows, bool derivatives_of) {
        const AngularProblem<T>& p = *problem;
        const std::ptrdiff_t n = padded<T>(count);
        T* to[3];
        for (int i = 0; i < 3; ++i) {
            to[i] = axis[i].value;
            if constexpr (DUAL) to[i] = derivatives_of ? axis[i].derivative : axis[i].value;
            for (std::ptrdiff_t j = count; j < n; ++j) to[i][j] = 0;
        }
        T* weight = weights.value;
        if constexpr (DUAL) weight = derivatives_of ? weights.derivative : weights.value;
        for (int j = 0; j < count; ++j) {
            const T* end = rows + (first + j + 1) * p.row() - p.end();
            for (int i = 0; i < 3; ++i) to[i][j] = end[i];
            for (int head = 0; head < p.n_heads; ++head, weight += p.per_head()) {
                for (int f = 0; f < p.per_head(); ++f) weight[f] = end[3 + head];
            }
        }
    }
    void gather(std::int64_t centre) {
        const AngularProblem<T>& p = *problem;
        first = p.first_edge[centre];
        count = int(p.first_edge[centre + 1] - first);
        gather(p.rows, false);
        if constexpr (DUAL) gather(p.tangents, true);
    }

    // the coefficients of edge k, its cosines with all edges and their Gaussians, with derivatives where wanted
    template <bool DERIVATIVES> void turn_to(int k) {
        const AngularProblem<T>& p = *problem;
        const std::ptrdiff_t from = (first + k) * p.row(), table = std::ptrdiff_t(p.n_gaussians) * p.n_filters;
        copy(coefficients.value, p.rows + from, table);
        if constexpr (DUAL) copy(coefficients.derivative, p.tangents + from, table);
        const Number x = axis[0].scalar(k), y = axis[1].scalar(k), z = axis[2].scalar(k);
        for (int j = 0; j < count; j += WIDTH<T>) {
            cosines.store(j, axis[0].load(j) * x + axis[1].load(j) * y + axis[2].load(j) * z);
        }
        const T spacing = T(2) / T(p.n_gaussians - 1), inverse = 1 / (p.width * p.width);
        Pack<T> lanes;
        for (int lane = 0; lane < WIDTH<T>; ++lane) lanes[lane] = T(lane);
        using V = typename Field<T, DUAL>::Vector;
        for (int j = 0; j < count; ++j) {
            const Number t = cosines.scalar(j);
            const T place = (cosines.value[j] + 1) / spacing - T(window / 2 - 1);
            const int last = p.n_gaussians - window;
            const int begin = !(place > 0) ? 0 : place < T(last) ? int(place) : last;
            window_begin[j] = begin;
            for (int c = 0; c < window; c += WIDTH<T>) {
                const Pack<T> places = (lanes + T(begin + c)) * spacing - T(1);
                const V away = broadcast<V>(t) - places, g = exponential(away * away * (T(-0.5) * inverse));
                gaussians.store(j * stride + c, g);
                if constexpr (DERIVATIVES) derivatives.store(j * stride + c, g * away * -inverse);
            }
        }
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

}  // namespace rhopot::RHOPOT_VARIANT
