// The neighbours of one centre, sorted by species into blocks of whole packs, with everything that depends on one edge.
#pragma once

#include "fade.hpp"

namespace rhopot::RHOPOT_VARIANT {

template <class V> struct Vector3 {
    V x, y, z;
};
template <class V> RHOPOT_INLINE V dot(const Vector3<V>& a, const Vector3<V>& b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
template <class V> RHOPOT_INLINE Vector3<V> operator-(const Vector3<V>& a, const Vector3<V>& b) {
    return {a.x - b.x, a.y - b.y, a.z - b.z};
}
template <class V> RHOPOT_INLINE Vector3<V> scaled(const Vector3<V>& a, const V& b) { return {a.x * b, a.y * b, a.z * b}; }
template <class V> RHOPOT_INLINE void operator+=(Vector3<V>& a, const Vector3<V>& b) {
    a.x += b.x;
    a.y += b.y;
    a.z += b.z;
}

template <class T> RHOPOT_INLINE void add_to(const Field<T, false>& to, const Pack<T>& x) { *to.value += lane_sum(x); }
template <class T> RHOPOT_INLINE void add_to(const Field<T, true>& to, const Dual<Pack<T>>& x) {
    *to.value += lane_sum(x.value);
    *to.derivative += lane_sum(x.derivative);
}

// Three rows of numbers, one per axis, `stride` apart.
template <class T, bool DUAL> struct VectorField {
    using V = typename Field<T, DUAL>::Vector;
    Field<T, DUAL> row;
    std::ptrdiff_t stride;
    RHOPOT_INLINE Vector3<V> load(std::ptrdiff_t i) const {
        return {row.load(i), row.load(stride + i), row.load(2 * stride + i)};
    }
    RHOPOT_INLINE void store(std::ptrdiff_t i, const Vector3<V>& v) const {
        row.store(i, v.x);
        row.store(stride + i, v.y);
        row.store(2 * stride + i, v.z);
    }
    RHOPOT_INLINE void add(std::ptrdiff_t i, const Vector3<V>& v) const {
        Vector3<V> sum = load(i);
        sum += v;
        store(i, sum);
    }
    // adds the sum over all lanes to the i-th vector
    RHOPOT_INLINE void add_sum(std::ptrdiff_t i, const Vector3<V>& v) const {
        add_to(row.at(i), v.x);
        add_to(row.at(stride + i), v.y);
        add_to(row.at(2 * stride + i), v.z);
    }
    // the i-th vector in all lanes
    RHOPOT_INLINE Vector3<V> one(std::ptrdiff_t i) const {
        return {broadcast<V>(row.scalar(i)), broadcast<V>(row.scalar(stride + i)), broadcast<V>(row.scalar(2 * stride + i))};
    }
};

// |v| and 1 / |v|, both 0 and without derivative where v = 0
template <class V> struct Length {
    V value, inverse;
};
template <class V> RHOPOT_INLINE Length<V> length_of(const V& square) {
    using P = std::remove_cvref_t<decltype(values(square))>;
    using T = Lane<P>;
    const auto apart = values(square) != T(0);
    const V length = square_root(where(apart, square, T(1)));
    return {where(apart, length, T(0)), where(apart, reciprocal(length), T(0))};
}

template <class T, bool DUAL> struct Environment {
    using V = typename Field<T, DUAL>::Vector;

    const SymmetryGrid<T>* grid;
    std::int32_t* edge;   // [slots] edge of each slot, counted from the centre's first; -1 in the padding
    std::int32_t* start;  // [A + 1] first slot of each species' block, a multiple of WIDTH<T>
    std::int32_t* count;  // [A] neighbours in the block
    std::ptrdiff_t slots; // room for neighbours and padding
    VectorField<T, DUAL> vector, unit, gradient;
    Field<T, DUAL> distance, inverse;
    Field<T, DUAL> h, derivative;  // [n_eta, slots]: h(r) and h'(r) of G4

    static std::ptrdiff_t room(const SymmetryGrid<T>& grid, std::int64_t edges) {
        return padded<T>(edges) + std::ptrdiff_t(grid.n_species) * WIDTH<T>;
    }
    static std::ptrdiff_t size(const SymmetryGrid<T>& grid, std::int64_t edges) {
        const std::ptrdiff_t slots = room(grid, edges);
        return slots + padded<T>(2 * grid.n_species + 1) + (DUAL ? 2 : 1) * (11 + 2 * grid.n_eta) * slots;
    }
    static Environment from(Arena<T>& arena, const SymmetryGrid<T>& grid, std::int64_t edges) {
        static_assert(sizeof(std::int32_t) <= sizeof(T));
        Environment e;
        e.grid = &grid;
        e.slots = room(grid, edges);
        e.edge = reinterpret_cast<std::int32_t*>(arena.template take<false>(e.slots).value);
        e.start = reinterpret_cast<std::int32_t*>(arena.template take<false>(padded<T>(2 * grid.n_species + 1)).value);
        e.count = e.start + grid.n_species + 1;
        e.vector = {arena.template take<DUAL>(3 * e.slots), e.slots};
        e.unit = {arena.template take<DUAL>(3 * e.slots), e.slots};
        e.gradient = {arena.template take<DUAL>(3 * e.slots), e.slots};
        e.distance = arena.template take<DUAL>(e.slots);
        e.inverse = arena.template take<DUAL>(e.slots);
        e.h = arena.template take<DUAL>(grid.n_eta * e.slots);
        e.derivative = arena.template take<DUAL>(grid.n_eta * e.slots);
        return e;
    }

    // sorts the edges of centre i that are within the cutoff (those that are not numbers too: they must show)
    void gather(const Graph<T>& graph, std::int64_t i) {
        const int n_species = grid->n_species;
        const std::int64_t first = graph.first_edge[i], n = graph.first_edge[i + 1] - first;
        const T limit = grid->cutoff * grid->cutoff;
        const auto beyond = [&](std::int64_t e) {
            const T* r = graph.edge_vectors + 3 * (first + e);
            return r[0] * r[0] + r[1] * r[1] + r[2] * r[2] >= limit;
        };
        const auto kind = [&](std::int64_t e) { return graph.species[graph.neighbour[first + e]]; };
        for (int a = 0; a < n_species; ++a) count[a] = 0;
        for (std::int64_t e = 0; e < n; ++e) count[kind(e)] += !beyond(e);
        start[0] = 0;
        for (int a = 0; a < n_species; ++a) {
            start[a + 1] = start[a] + std::int32_t(padded<T>(count[a]));
            for (std::int32_t slot = start[a] + count[a]; slot < start[a + 1]; ++slot) pad(slot);
            count[a] = 0;
        }
        for (std::int64_t e = 0; e < n; ++e) {
            if (beyond(e)) continue;
            const auto a = kind(e);
            place(start[a] + count[a]++, std::int32_t(e), graph, first + e);
        }
    }

    // what depends on one edge
    void prepare() {
        for (std::ptrdiff_t slot = 0; slot < start[grid->n_species]; slot += WIDTH<T>) {
            const Vector3<V> r = vector.load(slot);
            const V square = dot(r, r);
            const Length<V> length = length_of(square);
            unit.store(slot, scaled(r, length.inverse));
            gradient.store(slot, Vector3<V>{});
            distance.store(slot, length.value);
            inverse.store(slot, length.inverse);
            const Curve<V> f = fade(*grid, length.value);
            for (int k = 0; k < grid->n_eta; ++k) {
                const V gauss = exponential(square * -grid->eta[k]);
                h.store(k * slots + slot, gauss * f.value);
                derivative.store(k * slots + slot, gauss * (f.derivative + length.value * f.value * (-2 * grid->eta[k])));
            }
        }
    }

    // g of the centre's edges, or its derivative along the tangents
    void write(const Graph<T>& graph, std::int64_t i, T* to) const {
        const std::int64_t first = graph.first_edge[i];
        for (std::int64_t k = 3 * first; k < 3 * graph.first_edge[i + 1]; ++k) to[k] = 0;
        for (int a = 0; a < grid->n_species; ++a) {
            for (std::int32_t slot = start[a]; slot < start[a] + count[a]; ++slot) {
                for (int axis = 0; axis < 3; ++axis) {
                    const std::ptrdiff_t at = axis * slots + slot;
                    T& target = to[3 * (first + edge[slot]) + axis];
                    if constexpr (DUAL) target = gradient.row.derivative[at];
                    else target = gradient.row.value[at];
                }
            }
        }
    }

private:
    void place(std::ptrdiff_t slot, std::int32_t e, const Graph<T>& graph, std::int64_t row) const {
        edge[slot] = e;
        for (int axis = 0; axis < 3; ++axis) {
            vector.row.value[axis * slots + slot] = graph.edge_vectors[3 * row + axis];
            if constexpr (DUAL) vector.row.derivative[axis * slots + slot] = graph.tangents[3 * row + axis];
        }
    }
    // a neighbour out of reach
    void pad(std::ptrdiff_t slot) const {
        edge[slot] = -1;
        for (int axis = 0; axis < 3; ++axis) {
            vector.row.value[axis * slots + slot] = axis == 0 ? 3 * grid->cutoff : T(0);
            if constexpr (DUAL) vector.row.derivative[axis * slots + slot] = 0;
        }
    }
};

}  // namespace rhopot::RHOPOT_VARIANT
