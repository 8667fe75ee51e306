// Derivative of one centre's power spectrum by each of its edge vectors.
//
//   J_l[q, v] = sum_m dc[lm, q] c[lm, v],   dp[uv, l] = s_uv / sqrt(2l + 1) (J_l[u, v] + J_l[v, u])
#pragma once

#include "invariants.hpp"

namespace rhopot::RHOPOT_VARIANT {

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
