// Derivative of one centre's power spectrum by each of its edge vectors.
//
//   dc[axis, lm, q] = u_axis Y_lm R'[l, q] + (grad Y_lm)_axis R[l, q]            (only in the edge's own channel block)
//   J_l[q, v] = sum_m dc[lm, q] c[lm, v],   dp[uv, l] = s_uv / sqrt(2l + 1) (J_l[u, v] + J_l[v, u])
#pragma once

#include "invariants.hpp"

namespace rhopot::RHOPOT_VARIANT {

// dc[lm, block] of one edge and axis
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

// one row of dp[E, 3, F]; `product` is scratch of [L+1, block, row]
template <class T>
inline void spectrum_derivative(const Shape<T>& shape, int channel, T* dc, T* c, T* product, T* to) {
    const std::ptrdiff_t tile = shape.block * shape.row;
    for (int l = 0; l <= shape.l_max; ++l) {
        const Field<T, false> left{dc + l * l * shape.block}, right{c + l * l * shape.row}, out{product + l * tile};
        for (std::ptrdiff_t v = 0; v < shape.row; v += WIDTH<T>) {
            multiply<false>(shape.n_radial, left, 1, shape.block, right.at(v), shape.row, 2 * l + 1, out.at(v), shape.row);
        }
    }
    T scale[L_LIMIT + 1];
    for (int l = 0; l <= shape.l_max; ++l) scale[l] = degree_scale<T>(l);
    const std::ptrdiff_t from = channel * shape.block, upto = from + shape.block;
    for_each_pair(shape, [&](std::ptrdiff_t pair, std::ptrdiff_t u, std::ptrdiff_t v, bool same) {
        const bool first = u >= from && u < upto, second = v >= from && v < upto;
        const T* uv = product + (u - from) * shape.row + v;
        const T* vu = product + (v - from) * shape.row + u;
        const T factor = same ? T(1) : T(ROOT2);
        T* row = to + pair * (shape.l_max + 1);
        for (int l = 0; l <= shape.l_max; ++l) {
            const T sum = (first ? uv[l * tile] : T(0)) + (second ? vu[l * tile] : T(0));
            row[l] = sum * scale[l] * factor;
        }
    });
}

}  // namespace rhopot::RHOPOT_VARIANT
