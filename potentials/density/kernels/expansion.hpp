// Density expansion c[lm, u] of one centre and its adjoint.
//
// Forward, per batch of edges:   c[lm, q] += sum_e Y[lm, e] R[e, l, q]
// Adjoint, with d = dE/dc:       A[lm, e] = sum_q d[lm, q] R[l, q, e],   B[lm, e] = sum_q d[lm, q] R'[l, q, e]
//                                dE/dr_e = u sum_lm B Y_lm + (1 - u u^T) / r sum_lm A grad Y_lm
// No array of size edges x lm x q exists. Inside the kernels a channel block is padded to whole packs:
// c[lm, block * QP + q]; the padding holds finite numbers that nobody reads.
#pragma once

#include "edges.hpp"

namespace rhopot::RHOPOT_VARIANT {

constexpr double Y00 = 0.28209479177387814347;  // 1 / sqrt(4 pi)

template <class T> struct Shape {
    int l_max, n_radial, n_channels;
    std::ptrdiff_t block, row;  // padded width of a channel, and of all channels
    explicit Shape(const Basis<T>& b) : Shape(b.l_max, b.n_radial, b.n_channels) {}
    Shape(int l, int q, int channels)
        : l_max(l), n_radial(q), n_channels(channels), block(padded<T>(q)), row(block * channels) {}
    int angular() const { return (l_max + 1) * (l_max + 1); }
    int width() const { return n_radial * n_channels; }
    std::ptrdiff_t position(int u) const { return u / n_radial * block + u % n_radial; }
    std::ptrdiff_t features() const { return std::ptrdiff_t(width()) * (width() + 1) / 2 * (l_max + 1); }
};

template <class T, bool DUAL>
RHOPOT_INLINE void clear(const Field<T, DUAL>& field, std::ptrdiff_t count) {
    for (std::ptrdiff_t i = 0; i < count; i += WIDTH<T>) field.store(i, zero<T, DUAL>());
}

// `count` batches of one channel whose arrays lie `apart` numbers behind each other, `batch` first
template <class T, bool DUAL>
inline void accumulate(const Basis<T>& basis, const Shape<T>& shape, const EdgeBatch<T, DUAL>& batch, Field<T, DUAL> c,
                       int count = 1, std::ptrdiff_t apart = 0) {
    const std::ptrdiff_t stride = EdgeBatch<T, DUAL>::rows(basis);
    for (int l = 0; l <= shape.l_max; ++l) {
        const auto y = batch.harmonics.value.at(WIDTH<T> * l * l);
        multiply_wide<true, T>(2 * l + 1, y, WIDTH<T>, 1, batch.radial.at(basis.columns.first[l]), stride, WIDTH<T>,
                               c.at(l * l * shape.row + batch.channel * shape.block), shape.row, basis.columns.used[l],
                               Parts{count, apart, apart});
    }
}

// the centre's own density, c[own channel, lm = 0]
template <class T, bool DUAL>
RHOPOT_INLINE void add_own(const Graph<T>& graph, const Basis<T>& basis, const Shape<T>& shape, std::int64_t centre,
                           const Field<T, DUAL>& c) {
    const std::int64_t a = graph.species[graph.centre[centre]];
    const T* own = basis.radial + a * basis.n_knots * 3 * (basis.l_max + 1) * basis.n_radial;
    T* to = c.value + basis.species_channel[a] * shape.block;
    for (int q = 0; q < shape.n_radial; ++q) to[q] += basis.center_weight * T(Y00) * own[q];
}

// A and B of one batch, then the gradient of its edges: g[E, 3] (or its derivative when DUAL). `scratch` is [2, lm, WIDTH].
template <class T, bool DUAL>
inline void adjoint(const Basis<T>& basis, const Shape<T>& shape, const EdgeBatch<T, DUAL>& batch, Field<T, false> d,
                    Field<T, DUAL> scratch, T* gradient) {
    using V = typename Field<T, DUAL>::Vector;
    const Field<T, DUAL> a = scratch, b = scratch.at(WIDTH<T> * shape.angular());
    for (int l = 0; l <= shape.l_max; ++l) {
        const auto left = d.at(l * l * shape.row + batch.channel * shape.block);
        const std::ptrdiff_t rows = WIDTH<T> * basis.columns.first[l], to = WIDTH<T> * l * l;
        const int n = basis.columns.used[l];
        const Field<T, DUAL> right[2] = {batch.radial_by_lane.at(rows), batch.derivative_by_lane.at(rows)};
        const Field<T, DUAL> both[2] = {a.at(to), b.at(to)};
        multiply<false>(2 * l + 1, left, shape.row, 1, right, WIDTH<T>, n, both, WIDTH<T>);
    }
    const V along = dot_by_lanes<T>(b, batch.harmonics.value, shape.angular());
    const auto g = harmonics_adjoint(batch.harmonics, *basis.constants, shape.l_max, a);
    const V ux = batch.direction.load(0), uy = batch.direction.load(WIDTH<T>), uz = batch.direction.load(2 * WIDTH<T>);
    const V inverse = batch.direction.load(3 * WIDTH<T>);
    const V radial = along - (ux * g.x + uy * g.y + uz * g.z) * inverse;
    const V result[3] = {ux * radial + g.x * inverse, uy * radial + g.y * inverse, uz * radial + g.z * inverse};
    for (int lane = 0; lane < batch.count; ++lane) {
        T* to = gradient + 3 * batch.edge[lane];
        for (int axis = 0; axis < 3; ++axis) {
            if constexpr (DUAL) to[axis] = result[axis].derivative[lane];
            else to[axis] = result[axis][lane];
        }
    }
}

// projected gradients of all harmonics of a batch: to[axis, lm, WIDTH]
template <class T>
inline void harmonic_gradients(const EdgeBatch<T, false>& batch, const HarmonicConstants<T>& k, int l_max, T* to) {
    const Pack<T> ux = batch.direction.load(0), uy = batch.direction.load(WIDTH<T>), uz = batch.direction.load(2 * WIDTH<T>);
    const Pack<T> inverse = batch.direction.load(3 * WIDTH<T>);
    const std::ptrdiff_t axis = WIDTH<T> * (l_max + 1) * (l_max + 1);
    for (int l = 0; l <= l_max; ++l) {
        for (int m = -l; m <= l; ++m) {
            const auto g = harmonic_gradient(batch.harmonics, k, l, m);
            const Pack<T> along = ux * g.x + uy * g.y + uz * g.z;
            T* at = to + WIDTH<T> * angular(l, m);
            store_pack(at, (g.x - ux * along) * inverse);
            store_pack(at + axis, (g.y - uy * along) * inverse);
            store_pack(at + 2 * axis, (g.z - uz * along) * inverse);
        }
    }
}

// Derivative of the density by one coordinate of one edge vector, in that edge's channel: dc[lm, block],
//   dc[lm, q] = u_axis Y_lm R'[l, q] + (grad Y_lm)_axis R[l, q]
// `gradients` are harmonic_gradients of that axis, `direction` is u_axis
template <class T>
inline void density_derivative(const Basis<T>& basis, const Shape<T>& shape, const EdgeBatch<T, false>& batch, int lane,
                               const T* gradients, T direction, T* dc) {
    for (int l = 0; l <= shape.l_max; ++l) {
        for (std::ptrdiff_t q = 0; q < shape.n_radial; q += WIDTH<T>) {
            const std::ptrdiff_t at = lane * basis.columns.row + basis.columns.first[l] + q;
            const Pack<T> radial = batch.radial.load(at), derivative = batch.derivative.load(at) * direction;
            for (int lm = l * l; lm < (l + 1) * (l + 1); ++lm) {
                const T y = batch.harmonics.value.scalar(WIDTH<T> * lm + lane), dy = gradients[WIDTH<T> * lm + lane];
                store_pack(dc + lm * shape.block + q, derivative * y + radial * dy);
            }
        }
    }
}

// padded rows <-> the rows that callers see
template <class T> RHOPOT_INLINE void pad_rows(const Shape<T>& shape, const T* from, T* to) {
    for (int lm = 0; lm < shape.angular(); ++lm) {
        for (int b = 0; b < shape.n_channels; ++b) {
            T* row = to + lm * shape.row + b * shape.block;
            const T* source = from + std::ptrdiff_t(lm) * shape.width() + b * shape.n_radial;
            for (int q = 0; q < shape.block; ++q) row[q] = q < shape.n_radial ? source[q] : T(0);
        }
    }
}
template <class T> RHOPOT_INLINE void unpad_rows(const Shape<T>& shape, const T* from, T* to) {
    for (int lm = 0; lm < shape.angular(); ++lm) {
        for (int b = 0; b < shape.n_channels; ++b) {
            const T* row = from + lm * shape.row + b * shape.block;
            for (int q = 0; q < shape.n_radial; ++q) to[std::ptrdiff_t(lm) * shape.width() + b * shape.n_radial + q] = row[q];
        }
    }
}

// c of one centre, reusing one batch
template <class T, bool DUAL>
inline void expand_centre(const Graph<T>& graph, const Basis<T>& basis, const Shape<T>& shape, std::int64_t centre,
                          EdgeBatch<T, DUAL>& batch, const Field<T, DUAL>& c) {
    clear(c, shape.angular() * shape.row);
    for_each_batch<T, DUAL>(graph, basis, graph.first_edge[centre], graph.first_edge[centre + 1], [&] { return &batch; },
                            [&](EdgeBatch<T, DUAL>& b) {
        prepare<T, DUAL, Need::value>(graph, basis, b);
        accumulate(basis, shape, b, c);
    });
    add_own(graph, basis, shape, centre, c);
}

}  // namespace rhopot::RHOPOT_VARIANT
