// Exponential, sine, cosine and whole powers of packs of numbers, and of their duals.
#pragma once

#include "simd.hpp"

namespace rhopot::RHOPOT_VARIANT {

template <class P> using Lane = std::remove_cvref_t<decltype(P{}[0])>;
template <class P> constexpr bool SINGLE = sizeof(Lane<P>) == 4;
template <class T> using Mask = decltype(Pack<T>{} > T(0));

// one number in all lanes
template <Plain V> RHOPOT_INLINE V broadcast(Lane<V> x) { return V{} + x; }
template <class V, class T> RHOPOT_INLINE V broadcast(const Dual<T>& x) {
    using P = decltype(V{}.value);
    return {P{} + x.value, P{} + x.derivative};
}
template <class V> RHOPOT_INLINE V whole(int x) {
    if constexpr (is_dual<V>::value) {
        using P = decltype(V{}.value);
        return {P{} + Lane<P>(x), P{}};
    } else {
        return V{} + Lane<V>(x);
    }
}

// sum_k c_k x^k, the first N coefficients
template <int N, class P> RHOPOT_INLINE P polynomial(const double* c, const P& x) {
    using T = Lane<P>;
    P sum = P{} + T(c[N - 1]);
    for (int k = N - 2; k >= 0; --k) sum = sum * x + T(c[k]);
    return sum;
}

// clang-format off
constexpr double EXP_SERIES[] = {1, 1, 1 / 2., 1 / 6., 1 / 24., 1 / 120., 1 / 720., 1 / 5040., 1 / 40320., 1 / 362880.,
                                 1 / 3628800., 1 / 39916800., 1 / 479001600., 1 / 6227020800.};
constexpr double SIN_SERIES[] = {1, -1 / 6., 1 / 120., -1 / 5040., 1 / 362880., -1 / 39916800., 1 / 6227020800.,
                                 -1 / 1307674368000., 1 / 355687428096000., -1 / 121645100408832000.,
                                 1 / 51090942171709440000.};
constexpr double COS_SERIES[] = {1, -1 / 2., 1 / 24., -1 / 720., 1 / 40320., -1 / 3628800., 1 / 479001600.,
                                 -1 / 87178291200., 1 / 20922789888000., -1 / 6402373705728000.,
                                 1 / 2432902008176640000., -1 / 1124000727777607680000.};
// clang-format on

// e^x = 2^n e^t with t = x - n log 2, for x <= 0; what is below the smallest normal number stays just above it
template <Plain P> RHOPOT_INLINE P exponential(const P& x) {
    using T = Lane<P>;
    using Bits = decltype(x > T(0));
    constexpr T lowest = SINGLE<P> ? T(-87) : T(-708), round = SINGLE<P> ? T(0x1.8p23) : T(0x1.8p52);
    constexpr T high = SINGLE<P> ? T(0x1.62e4p-1) : T(0x1.62e42fefap-1);  // few digits: exact times n
    constexpr T low = T(0.693147180559945309417232 - double(high));
    constexpr int mantissa = SINGLE<P> ? 23 : 52;
    const P y = x < lowest ? P{} + lowest : x;
    const P shifted = y * T(1.44269504088896340736) + round, n = shifted - round;
    const P t = (y - n * high) - n * low;
    const Bits scale = (Bits(shifted) << mantissa) + Bits(P{} + T(1));
    return polynomial<SINGLE<P> ? 8 : 14>(EXP_SERIES, t) * P(scale);
}
template <class P> RHOPOT_INLINE Dual<P> exponential(const Dual<P>& x) {
    const P e = exponential(x.value);
    return {e, e * x.derivative};
}

// for |y| <= pi / 2
template <Plain P> RHOPOT_INLINE P sine(const P& y) { return y * polynomial<SINGLE<P> ? 6 : 11>(SIN_SERIES, P(y * y)); }
template <Plain P> RHOPOT_INLINE P cosine(const P& y) { return polynomial<SINGLE<P> ? 7 : 12>(COS_SERIES, P(y * y)); }
template <class P> RHOPOT_INLINE Dual<P> sine(const Dual<P>& y) { return {sine(y.value), cosine(y.value) * y.derivative}; }
template <class P> RHOPOT_INLINE Dual<P> cosine(const Dual<P>& y) {
    return {cosine(y.value), sine(y.value) * y.derivative * Lane<P>(-1)};
}

// x^n, n >= 0
template <class V> RHOPOT_INLINE V power(V x, std::int64_t n) {
    V result = whole<V>(1);
    for (; n > 0; n >>= 1) {
        if (n & 1) result = result * x;
        x = x * x;
    }
    return result;
}

}  // namespace rhopot::RHOPOT_VARIANT
