// Pairs of neighbours: one neighbour j with a pack of neighbours k at a time.
//
// With c = cos t_jik and s = r_jk^2, a term is A(r_ij, r_ik, s) B(c), A = h(r_ij) h(r_ik) h(sqrt s), B = 2^(1-zeta)
// (1 + lambda c)^zeta. Derivatives: dc/dr_ij = (u_k - c u_j) / r_ij, ds/dr_ij = -2 (r_ik - r_ij), and the same for k.
#pragma once

#include "environment.hpp"

namespace rhopot::RHOPOT_VARIANT {

// the geometry of one j and a pack of k
template <class T, bool DUAL> struct Triple {
    using V = typename Field<T, DUAL>::Vector;
    Vector3<V> uj, uk, d;     // directions; r_ik - r_ij
    V c, s, inverse;          // cos t_jik, r_jk^2, 1 / r_jk
    Curve<V> f;               // f_c(r_jk), zero in lanes that do not count

    RHOPOT_INLINE Triple(const Environment<T, DUAL>& e, std::ptrdiff_t j, std::ptrdiff_t k, const Mask<T>& counts) {
        uj = e.unit.one(j);
        uk = e.unit.load(k);
        d = e.vector.load(k) - e.vector.one(j);
        c = dot(uj, uk);
        s = dot(d, d);
        const Length<V> length = length_of(s);
        inverse = length.inverse;
        f = fade(*e.grid, length.value);
        f.value = where(counts, f.value, T(0));
        f.derivative = where(counts, f.derivative, T(0));
    }
};

// h(r_jk) and its derivative by s = r_jk^2
template <class T, bool DUAL>
RHOPOT_INLINE Curve<typename Field<T, DUAL>::Vector> far_side(const Triple<T, DUAL>& t, T eta) {
    const auto gauss = exponential(t.s * -eta);
    return {gauss * t.f.value, gauss * (t.f.derivative * t.inverse * T(0.5) + t.f.value * -eta)};
}

// 0, 1, 2 ... in the lanes
template <class T> RHOPOT_INLINE Pack<T> lanes() {
    Pack<T> x{};
    for (int i = 0; i < WIDTH<T>; ++i) x[i] = T(i);
    return x;
}

// work(j, from, upto, after): every j of one species with the slots [from, upto) of the other, of which those after `after`
// count, so that each unordered pair of neighbours of species a <= b comes once
template <class T, bool DUAL, class Work>
RHOPOT_INLINE void for_each_row(const Environment<T, DUAL>& e, int a, int b, const Work& work) {
    if (a == b) {
        for (std::int32_t j = e.start[a]; j < e.start[a] + e.count[a]; ++j) {
            work(j, j / WIDTH<T> * WIDTH<T>, e.start[a + 1], j);
        }
        return;
    }
    const bool swap = e.count[a] * (e.start[b + 1] - e.start[b]) > e.count[b] * (e.start[a + 1] - e.start[a]);
    const int rows = swap ? b : a, columns = swap ? a : b;
    for (std::int32_t j = e.start[rows]; j < e.start[rows] + e.count[rows]; ++j) {
        work(j, e.start[columns], e.start[columns + 1], -1);
    }
}

// 2^(1-zeta) (1 + lambda c)^(zeta-1) of every direction; times (1 + lambda c) it is B, times zeta lambda it is dB/dc
template <class T, class V, class Work>
RHOPOT_INLINE void for_each_direction(const SymmetryGrid<T>& grid, const V& c, const Work& work) {
    int index = 0;
    for (int z = 0; z < grid.n_zeta; ++z) {
        const std::int64_t zeta = grid.zeta[z];
        const T scale = T(1) / T(std::uint64_t(1) << (zeta - 1));
        for (int l = 0; l < grid.n_sign; ++l, ++index) {
            const T sign = T(grid.sign[l]);
            const V base = c * sign + T(1), q = power(base, zeta - 1) * scale;
            work(index, q * base, q * (sign * T(zeta)));
        }
    }
}

}  // namespace rhopot::RHOPOT_VARIANT
