// Real spherical harmonics of a pack of directions at once, and the adjoint of their gradient.
//
// With u = (x, y, z) on the unit sphere and m >= 0
//     Y_l,+m = Pi(l, m)(z) Re (x + iy)^m,     Y_l,-m = Pi(l, m)(z) Im (x + iy)^m,
// Pi(l, m) = N_lm d^m P_l / dz^m, orthonormal, no Condon-Shortley phase. Pi follows the three-term recurrence in l at fixed m
// and d Pi(l, m) / dz = raise(l, m) Pi(l, m + 1), so a gradient costs no new functions. These polynomials continue Y off the
// sphere in one of many ways; the gradient with respect to the edge vector is (1 - u u^T) grad / r in all of them.
#pragma once

#include "problem.hpp"
#include "simd.hpp"

namespace rhopot::RHOPOT_VARIANT {

RHOPOT_INLINE constexpr int triangle(int l, int m) { return l * (l + 1) / 2 + m; }
RHOPOT_INLINE constexpr int angular(int l, int m) { return l * l + l + m; }

template <class T, bool DUAL> struct Harmonics {
    Field<T, DUAL> legendre;  // [triangle(l, m), WIDTH]
    Field<T, DUAL> cosine;    // [m, WIDTH] Re (x + iy)^m
    Field<T, DUAL> sine;      // [m, WIDTH]
    Field<T, DUAL> value;     // [lm, WIDTH]

    static std::ptrdiff_t size(int l_max) {
        return WIDTH<T> * (triangle(l_max + 1, 0) + 2 * (l_max + 1) + (l_max + 1) * (l_max + 1)) * (DUAL ? 2 : 1);
    }
    static Harmonics from(Arena<T>& arena, int l_max) {
        Harmonics h;
        h.legendre = arena.template take<DUAL>(WIDTH<T> * triangle(l_max + 1, 0));
        h.cosine = arena.template take<DUAL>(WIDTH<T> * (l_max + 1));
        h.sine = arena.template take<DUAL>(WIDTH<T> * (l_max + 1));
        h.value = arena.template take<DUAL>(WIDTH<T> * (l_max + 1) * (l_max + 1));
        return h;
    }
};

template <class T, bool DUAL, class V>
RHOPOT_INLINE void evaluate_harmonics(const Harmonics<T, DUAL>& h, const HarmonicConstants<T>& k, int l_max, const V& x,
                                      const V& y, const V& z) {
    V cosine = V{} + T(1), sine = V{};
    for (int m = 0; m <= l_max; ++m) {
        h.cosine.store(WIDTH<T> * m, cosine);
        h.sine.store(WIDTH<T> * m, sine);
        V previous{}, current = V{} + k.diagonal[m];
        for (int l = m; l <= l_max; ++l) {
            if (l > m) {
                const V next = (z * current - previous * k.offset[l][m]) * k.factor[l][m];
                previous = current;
                current = next;
            }
            h.legendre.store(WIDTH<T> * triangle(l, m), current);
            h.value.store(WIDTH<T> * angular(l, m), current * cosine);
            if (m > 0) h.value.store(WIDTH<T> * angular(l, -m), current * sine);
        }
        const V rotated = cosine * x - sine * y;
        sine = sine * x + cosine * y;
        cosine = rotated;
    }
}

template <class V> struct Vector3 {
    V x, y, z;
};

// sum_lm adjoint[lm] grad Y_lm (unprojected): adjoint is [lm, WIDTH]
template <class T, bool DUAL>
RHOPOT_INLINE auto harmonics_adjoint(const Harmonics<T, DUAL>& h, const HarmonicConstants<T>& k, int l_max,
                                     const Field<T, DUAL>& adjoint) {
    using V = typename Field<T, DUAL>::Vector;
    Vector3<V> g{};
    for (int m = 0; m <= l_max; ++m) {
        V even{}, odd{}, even_z{}, odd_z{};  // sums over l, for Re and Im
        for (int l = m; l <= l_max; ++l) {
            const V pi = h.legendre.load(WIDTH<T> * triangle(l, m));
            const V plus = adjoint.load(WIDTH<T> * angular(l, m));
            const V minus = adjoint.load(WIDTH<T> * angular(l, -m));
            even += plus * pi;
            odd += minus * pi;
            if (l > m) {
                const V derivative = h.legendre.load(WIDTH<T> * triangle(l, m + 1)) * k.raise[l][m];
                even_z += plus * derivative;
                odd_z += minus * derivative;
            }
        }
        const V cosine = h.cosine.load(WIDTH<T> * m), sine = h.sine.load(WIDTH<T> * m);
        g.z += even_z * cosine;
        if (m == 0) continue;
        g.z += odd_z * sine;
        const V lower_cosine = h.cosine.load(WIDTH<T> * (m - 1)) * T(m), lower_sine = h.sine.load(WIDTH<T> * (m - 1)) * T(m);
        g.x += even * lower_cosine + odd * lower_sine;
        g.y += odd * lower_cosine - even * lower_sine;
    }
    return g;
}

// grad Y_lm (unprojected) of one lm
template <class T>
RHOPOT_INLINE Vector3<Pack<T>> harmonic_gradient(const Harmonics<T, false>& h, const HarmonicConstants<T>& k, int l, int m) {
    const int n = m < 0 ? -m : m;
    const Pack<T> pi = h.legendre.load(WIDTH<T> * triangle(l, n));
    const Pack<T> angle = m < 0 ? h.sine.load(WIDTH<T> * n) : h.cosine.load(WIDTH<T> * n);
    Vector3<Pack<T>> g{};
    if (l > n) g.z = h.legendre.load(WIDTH<T> * triangle(l, n + 1)) * k.raise[l][n] * angle;
    if (n == 0) return g;
    const Pack<T> cosine = h.cosine.load(WIDTH<T> * (n - 1)) * T(n) * pi, sine = h.sine.load(WIDTH<T> * (n - 1)) * T(n) * pi;
    g.x = m < 0 ? sine : cosine;
    g.y = m < 0 ? cosine : -sine;
    return g;
}

}  // namespace rhopot::RHOPOT_VARIANT
