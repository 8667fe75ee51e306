// The kernels of the angular filters, compiled once per instruction set (RHOPOT_VARIANT names it). Nothing here may be an
// inline function of the standard library: the linker would keep one copy for all variants.
//
// One edge e at a time, against packs of the other edges of its centre: the Gaussians of all their cosines side by side in
// the lanes, Z = G^T A as a matrix product (filters in the lanes), then the softplus of Z number by number.
#include "angular_kernels.hpp"
#include "softplus.hpp"

namespace rhopot::RHOPOT_VARIANT {
namespace {

// the edges of one centre, one array for each coordinate; packs beyond the last edge have weight zero
template <class T, bool DUAL> struct Star {
    using V = typename Field<T, DUAL>::Vector;
    const AngularProblem<T>* problem;
    std::int64_t first;
    int count;
    std::ptrdiff_t slots;             // of an array
    Field<T, DUAL> coordinates;       // [4, slots]: x, y, z of the direction, and the weight
    Field<T, DUAL> gradient;          // [4, slots]
    Field<T, DUAL> gaussians;         // [n_gaussians, WIDTH]
    Field<T, DUAL> derivatives;       // [n_gaussians, WIDTH]: dG/dt
    Field<T, DUAL> filters, turned;   // [WIDTH, n_filters]: Z = G^T A, and dZ/dt
    Field<T, DUAL> row;               // [n_gaussians, n_filters]: A of an edge; of the adjoint: dL/dA
    Field<T, DUAL> sum;               // [n_filters]

    static std::ptrdiff_t most_slots(std::int64_t edges) { return padded<T>(edges); }
    static std::ptrdiff_t size(const AngularProblem<T>& p, std::int64_t edges) {
        const std::ptrdiff_t g = p.n_gaussians, d = p.n_filters;
        return (8 * most_slots(edges) + 2 * g * WIDTH<T> + 2 * d * WIDTH<T> + 2 * g * d + d) * (DUAL ? 2 : 1);
    }
    static Star from(Arena<T>& arena, const AngularProblem<T>& p, std::int64_t edges) {
        const std::ptrdiff_t g = p.n_gaussians, d = p.n_filters;
        Star s;
        s.problem = &p;
        s.slots = most_slots(edges);
        s.coordinates = arena.template take<DUAL>(4 * s.slots);
        s.gradient = arena.template take<DUAL>(4 * s.slots);
        s.gaussians = arena.template take<DUAL>(g * WIDTH<T>);
        s.derivatives = arena.template take<DUAL>(g * WIDTH<T>);
        s.filters = arena.template take<DUAL>(d * WIDTH<T>);
        s.turned = arena.template take<DUAL>(d * WIDTH<T>);
        s.row = arena.template take<DUAL>(g * d);
        s.sum = arena.template take<DUAL>(d);
        return s;
    }

    // A[c, d] of edge k
    RHOPOT_INLINE Field<const T, DUAL> coefficients(int k) const {
        const std::ptrdiff_t at = (first + k) * problem->row();
        if constexpr (DUAL) return {problem->rows + at, problem->tangents + at};
        else return {problem->rows + at};
    }

    void gather(std::int64_t centre) {
        const AngularProblem<T>& p = *problem;
        first = p.first_edge[centre];
        count = int(p.first_edge[centre + 1] - first);
        const std::ptrdiff_t last = p.row() - 4;
        for (int axis = 0; axis < 4; ++axis) {
            for (std::ptrdiff_t k = 0; k < padded<T>(count); ++k) {
                const std::ptrdiff_t from = (first + k) * p.row() + last + axis;
                coordinates.value[axis * slots + k] = k < count ? p.rows[from] : T(0);
                if constexpr (DUAL) coordinates.derivative[axis * slots + k] = k < count ? p.tangents[from] : T(0);
            }
        }
    }

    RHOPOT_INLINE V coordinate(int axis, std::ptrdiff_t slot) const { return coordinates.load(axis * slots + slot); }
    RHOPOT_INLINE V own(int axis, int k) const { return broadcast<V>(coordinates.scalar(axis * slots + k)); }

    // weights of a pack of edges, zero of edge k itself
    RHOPOT_INLINE V weights(int k, int slot) const {
        V w = coordinate(3, slot);
        const int lane = k - slot;
        if (lane >= 0 && lane < WIDTH<T>) {
            if constexpr (DUAL) w.value[lane] = w.derivative[lane] = T(0);
            else w[lane] = T(0);
        }
        return w;
    }

    // Gaussians of the cosines between edge k and a pack of edges, and their derivatives where wanted
    template <bool DERIVATIVES> RHOPOT_INLINE void angles(int k, int slot) const {
        const AngularProblem<T>& p = *problem;
        const V t = own(0, k) * coordinate(0, slot) + own(1, k) * coordinate(1, slot) + own(2, k) * coordinate(2, slot);
        const T inverse = 1 / (p.width * p.width);
        for (int c = 0; c < p.n_gaussians; ++c) {
            const V x = t - p.places[c], g = exponential(x * x * (T(-0.5) * inverse));
            gaussians.store(c * WIDTH<T>, g);
            if constexpr (DERIVATIVES) derivatives.store(c * WIDTH<T>, g * x * -inverse);
        }
    }
    RHOPOT_INLINE void product(const Field<T, DUAL>& basis, const Field<const T, DUAL>& a, const Field<T, DUAL>& z) const {
        const std::ptrdiff_t d = problem->n_filters;
        multiply_wide<false, T>(WIDTH<T>, basis, 1, WIDTH<T>, a, d, problem->n_gaussians, z, d, d);
    }
};

template <class T, bool DUAL> RHOPOT_INLINE void clear(const Field<T, DUAL>& field, std::ptrdiff_t count) {
    for (std::ptrdiff_t i = 0; i < count; i += WIDTH<T>) field.store(i, zero<T, DUAL>());
}

// what is asked for: the value, or of duals the derivative along the tangents
template <class T, bool DUAL> RHOPOT_INLINE const T* wanted(const Field<T, DUAL>& field) {
    if constexpr (DUAL) return field.derivative;
    else return field.value;
}

template <class T, bool DUAL, class V> RHOPOT_INLINE V lane_of(const V& x, int lane) {
    if constexpr (DUAL) return V{Pack<T>{} + x.value[lane], Pack<T>{} + x.derivative[lane]};
    else return V{} + x[lane];
}

// sums over the lanes of as many packs as they have lanes, side by side
template <class T> RHOPOT_INLINE Pack<T> lane_sums(const Pack<T> (&x)[WIDTH<T>]) {
    T turned[WIDTH<T> * WIDTH<T>] __attribute__((aligned(64)));
    transpose_block(reinterpret_cast<const T*>(x), WIDTH<T>, turned);
    Pack<T> total{};
    for (int lane = 0; lane < WIDTH<T>; ++lane) total += load_pack<T>(turned + lane * WIDTH<T>);
    return total;
}
template <class T> RHOPOT_INLINE Dual<Pack<T>> lane_sums(const Dual<Pack<T>> (&x)[WIDTH<T>]) {
    Pack<T> values[WIDTH<T>], derivatives[WIDTH<T>];
    for (int i = 0; i < WIDTH<T>; ++i) values[i] = x[i].value, derivatives[i] = x[i].derivative;
    return {lane_sums<T>(values), lane_sums<T>(derivatives)};
}

template <class T> std::int64_t most_edges(const AngularProblem<T>& p, std::int64_t begin, std::int64_t end) {
    std::int64_t most = 0;
    for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t n = p.first_edge[i + 1] - p.first_edge[i];
        most = n > most ? n : most;
    }
    return most;
}

template <class T, bool DUAL>
void values_with(const AngularProblem<T>& p, std::int64_t begin, std::int64_t end, T* sums, T* memory) {
    using V = typename Field<T, DUAL>::Vector;
    Arena<T> arena{memory};
    auto star = Star<T, DUAL>::from(arena, p, most_edges(p, begin, end));
    const int d = p.n_filters;
    for (std::int64_t i = begin; i < end; ++i) {
        star.gather(i);
        for (int k = 0; k < star.count; ++k) {
            clear(star.sum, d);
            for (int slot = 0; slot < star.count; slot += WIDTH<T>) {
                star.template angles<false>(k, slot);
                star.product(star.gaussians, star.coefficients(k), star.filters);
                const V weights = star.weights(k, slot);
                const int lanes = star.count - slot < WIDTH<T> ? star.count - slot : WIDTH<T>;
                for (int lane = 0; lane < lanes; ++lane) {
                    if (slot + lane == k) continue;
                    const V w = lane_of<T, DUAL>(weights, lane);
                    for (int f = 0; f < d; f += WIDTH<T>) {
                        star.sum.store(f, star.sum.load(f) + w * shifted_softplus(star.filters.load(lane * d + f)).value);
                    }
                }
            }
            T* to = sums + (star.first + k) * d;
            for (int f = 0; f < d; f += WIDTH<T>) store_pack<T>(to + f, load_pack<T>(wanted(star.sum) + f));
        }
    }
}

// adds what edge k and a pack of others give to dL/dA of k, and to dL/du and dL/dw of all of them; h[D] of edge k
template <class T, bool DUAL> RHOPOT_INLINE void adjoint_of_pack(const Star<T, DUAL>& star, int k, int slot, const T* h) {
    using V = typename Field<T, DUAL>::Vector;
    const AngularProblem<T>& p = *star.problem;
    const std::ptrdiff_t d = p.n_filters;
    star.template angles<true>(k, slot);
    star.product(star.gaussians, star.coefficients(k), star.filters);
    star.product(star.derivatives, star.coefficients(k), star.turned);
    const V weights = star.weights(k, slot);
    V by_weight[WIDTH<T>] = {}, by_cosine[WIDTH<T>] = {};
    for (int lane = 0; lane < WIDTH<T>; ++lane) {
        if (slot + lane >= star.count || slot + lane == k) {
            for (int f = 0; f < d; f += WIDTH<T>) star.filters.store(lane * d + f, zero<T, DUAL>());
            continue;
        }
        const V w = lane_of<T, DUAL>(weights, lane);
        for (int f = 0; f < d; f += WIDTH<T>) {
            const Pack<T> incoming = load_pack<T>(h + f);
            const auto y = shifted_softplus(star.filters.load(lane * d + f));
            const V by_z = y.derivative * incoming;
            by_weight[lane] += y.value * incoming;
            by_cosine[lane] += by_z * star.turned.load(lane * d + f);
            star.filters.store(lane * d + f, by_z * w);  // dL/dZ
        }
    }
    multiply_wide<true, T>(p.n_gaussians, star.gaussians, WIDTH<T>, 1, star.filters, d, WIDTH<T>, star.row, d, d);
    const std::ptrdiff_t w_at = 3 * star.slots + slot;
    star.gradient.store(w_at, star.gradient.load(w_at) + lane_sums<T>(by_weight));
    const V by_t = lane_sums<T>(by_cosine) * weights;
    for (int axis = 0; axis < 3; ++axis) {
        const std::ptrdiff_t at = axis * star.slots + slot, own = axis * star.slots + k;
        star.gradient.store(at, star.gradient.load(at) + by_t * star.own(axis, k));
        const V mine = by_t * star.coordinate(axis, slot);
        if constexpr (DUAL) {
            star.gradient.value[own] += lane_sum(mine.value);
            star.gradient.derivative[own] += lane_sum(mine.derivative);
        } else {
            star.gradient.value[own] += lane_sum(mine);
        }
    }
}

template <class T, bool DUAL>
void adjoint_with(const AngularProblem<T>& p, std::int64_t begin, std::int64_t end, const T* h, T* gradient, T* memory) {
    Arena<T> arena{memory};
    auto star = Star<T, DUAL>::from(arena, p, most_edges(p, begin, end));
    const std::ptrdiff_t d = p.n_filters, size = p.row() - 4;
    for (std::int64_t i = begin; i < end; ++i) {
        star.gather(i);
        clear(star.gradient, 4 * star.slots);
        for (int k = 0; k < star.count; ++k) {
            clear(star.row, size);
            for (int slot = 0; slot < star.count; slot += WIDTH<T>) {
                adjoint_of_pack(star, k, slot, h + (star.first + k) * d);
            }
            T* to = gradient + (star.first + k) * p.row();
            for (std::ptrdiff_t f = 0; f < size; f += WIDTH<T>) store_pack<T>(to + f, load_pack<T>(wanted(star.row) + f));
        }
        for (int k = 0; k < star.count; ++k) {
            T* to = gradient + (star.first + k) * p.row() + size;
            for (int axis = 0; axis < 4; ++axis) to[axis] = wanted(star.gradient)[axis * star.slots + k];
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
void adjoint(const AngularProblem<T>& p, std::int64_t begin, std::int64_t end, const T* h, T* gradient, T* memory) {
    if (p.along_tangents) adjoint_with<T, true>(p, begin, end, h, gradient, memory);
    else adjoint_with<T, false>(p, begin, end, h, gradient, memory);
}

}  // namespace

template <class T> const AngularKernels<T>& angular_kernels() {
    static constexpr AngularKernels<T> kernels{workspace<T>, values<T>, adjoint<T>};
    return kernels;
}
template const AngularKernels<double>& angular_kernels<double>();
template const AngularKernels<float>& angular_kernels<float>();

}  // namespace rhopot::RHOPOT_VARIANT
