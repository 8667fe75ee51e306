// The shifted softplus and its derivative, for packs of numbers and their duals.
#pragma once

#include "density/kernels/elementary.hpp"

namespace rhopot::RHOPOT_VARIANT {

// 2 / (2 k + 1): log(1 + x) = z sum_k LOG_SERIES[k] z^(2 k) with z = x / (2 + x)
// clang-format off
constexpr double LOG_SERIES[] = {2., 2 / 3., 2 / 5., 2 / 7., 2 / 9., 2 / 11., 2 / 13., 2 / 15., 2 / 17., 2 / 19., 2 / 21.,
                                 2 / 23., 2 / 25., 2 / 27., 2 / 29., 2 / 31.};
// clang-format on
constexpr double LOG_2 = 0.693147180559945309417232;

// value = log((1 + e^x) / 2) and derivative = 1 / (1 + e^-x)
template <class V> struct Softplus {
    V value, derivative;
};

template <Plain P> RHOPOT_INLINE Softplus<P> shifted_softplus(const P& x) {
    using T = Lane<P>;
    const P e = exponential(x < T(0) ? x : -x);  // at most 1: nothing overflows
    const P one = e + T(1), two = e + T(2), q = T(1) / (one * two);
    const P z = e * one * q;
    const P log = z * polynomial<SINGLE<P> ? 8 : 16>(LOG_SERIES, P(z * z));
    const P near = two * q;  // 1 / (1 + e)
    return {(x < T(0) ? P{} : x) + (log - T(LOG_2)), x < T(0) ? e * near : near};
}
template <class P> RHOPOT_INLINE Softplus<Dual<P>> shifted_softplus(const Dual<P>& x) {
    const Softplus<P> y = shifted_softplus(x.value);
    const P bend = y.derivative * (Lane<P>(1) - y.derivative);
    return {{y.value, y.derivative * x.derivative}, {y.derivative, bend * x.derivative}};
}

}  // namespace rhopot::RHOPOT_VARIANT
