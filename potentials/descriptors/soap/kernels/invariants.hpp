// Power spectrum of one centre, its adjoint, and the linear model on it.
//
//   p[uv, l] = s_uv / sqrt(2l + 1) sum_m c[lm, u] c[lm, v]      (u <= v; s = 1 if u = v else sqrt 2)
//   dE/dc[lm, u] = sum_v W_l[u, v] c[lm, v],  W_l symmetric:  W_l[u, v] = h[uv, l] s_uv / sqrt(2l + 1) (2 if u = v else 1)
// with h = dE/dp. For a linear model h is a constant w, W_l is made once, and E = 1/2 sum c W_l c: p is never formed.
#pragma once

#include "density/kernels/expansion.hpp"

namespace rhopot::RHOPOT_VARIANT {

constexpr double ROOT2 = 1.41421356237309504880;

template <class T> RHOPOT_INLINE T degree_scale(int l) { return T(1 / __builtin_sqrt(2.0 * l + 1)); }

// visits all pairs u <= v in feature order: visit(pair, position of u, position of v, whether u = v)
template <class T, class Visit> RHOPOT_INLINE void for_each_pair(const Shape<T>& shape, Visit visit) {
    std::ptrdiff_t pair = 0;
    for (int u = 0; u < shape.width(); ++u) {
        const std::ptrdiff_t at = shape.position(u);
        for (int v = u; v < shape.width(); ++v) visit(pair++, at, shape.position(v), u == v);
    }
}

template <class T> RHOPOT_INLINE std::ptrdiff_t packed_size(const Shape<T>& shape) {
    return (shape.l_max + 1) * shape.row * shape.row;
}

// h[F] -> W_l[u, v] on padded positions
template <class T> inline void pack_adjoint(const Shape<T>& shape, const T* h, T* w) {
    for (std::ptrdiff_t i = 0; i < packed_size(shape); ++i) w[i] = T(0);
    const std::ptrdiff_t square = shape.row * shape.row;
    T scale[L_LIMIT + 1];
    for (int l = 0; l <= shape.l_max; ++l) scale[l] = degree_scale<T>(l);
    for_each_pair(shape, [&](std::ptrdiff_t pair, std::ptrdiff_t u, std::ptrdiff_t v, bool same) {
        const T* from = h + pair * (shape.l_max + 1);
        for (int l = 0; l <= shape.l_max; ++l) {
            const T weight = from[l] * scale[l] * (same ? T(2) : T(ROOT2));
            w[l * square + u * shape.row + v] = weight;
            w[l * square + v * shape.row + u] = weight;
        }
    });
}

// d[lm, u] = sum_v W_l[u, v] c[lm, v]
template <class T, bool DUAL>
inline void apply_packed(const Shape<T>& shape, Field<T, DUAL> c, Field<T, false> w, Field<T, DUAL> d) {
    for (int l = 0; l <= shape.l_max; ++l) {
        const std::ptrdiff_t rows = l * l * shape.row;
        multiply_wide<false, T>(2 * l + 1, c.at(rows), shape.row, 1, w.at(l * shape.row * shape.row), shape.row, int(shape.row),
                                d.at(rows), shape.row, shape.row);
    }
}

template <class T> RHOPOT_INLINE T half_dot(const T* a, const T* b, std::ptrdiff_t n) {
    Pack<T> sum{};
    for (std::ptrdiff_t i = 0; i < n; i += WIDTH<T>) sum += load_pack<T>(a + i) * load_pack<T>(b + i);
    return lane_sum(sum) / 2;
}

// p[F] of one centre (its derivative when DUAL); `scratch` is [L+1, row, row]
template <class T, bool DUAL>
inline void spectrum(const Shape<T>& shape, Field<T, DUAL> c, Field<T, DUAL> scratch, T* p) {
    const std::ptrdiff_t square = shape.row * shape.row;
    for (int l = 0; l <= shape.l_max; ++l) {
        const auto rows = c.at(l * l * shape.row);
        multiply_wide<false, T>(int(shape.row), rows, 1, shape.row, rows, shape.row, 2 * l + 1, scratch.at(l * square),
                                shape.row, shape.row);
    }
    const T* product = scratch.value;
    if constexpr (DUAL) product = scratch.derivative;
    T scale[L_LIMIT + 1];
    for (int l = 0; l <= shape.l_max; ++l) scale[l] = degree_scale<T>(l);
    for_each_pair(shape, [&](std::ptrdiff_t pair, std::ptrdiff_t u, std::ptrdiff_t v, bool same) {
        const T* from = product + u * shape.row + v;
        T* to = p + pair * (shape.l_max + 1);
        for (int l = 0; l <= shape.l_max; ++l) to[l] = from[l * square] * scale[l] * (same ? T(1) : T(ROOT2));
    });
}

}  // namespace rhopot::RHOPOT_VARIANT
