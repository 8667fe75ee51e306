// Rows of a sparse-kernel model; the matrix products between them are BLAS' work.
//
//   u = p / |p|,   k_s = u . P_s,   e = sum_s w_s k_s^zeta
//   de/dk_s = zeta w_s k_s^(zeta - 1) = v_s,   h = sum_s v_s P_s,   de/dp = (h - u (u . h)) / |p|,   u . h = zeta e
#pragma once

#include "density/kernels/simd.hpp"

namespace rhopot::RHOPOT_VARIANT {

// x^n, n >= 0, by repeated squaring
template <class V> RHOPOT_INLINE V integer_power(V x, std::int64_t n) {
    V result = V{} + 1;
    for (; n > 0; n /= 2, x = x * x) {
        if (n % 2 == 1) result = result * x;
    }
    return result;
}

// visit(i, load, store) for every pack of a row of n numbers, the last one padded with zeros
template <class T, class Visit> RHOPOT_INLINE void for_each_pack(std::ptrdiff_t n, Visit visit) {
    std::ptrdiff_t i = 0;
    for (; i + WIDTH<T> <= n; i += WIDTH<T>) {
        visit([=](const T* row) { return load_pack<T>(row + i); }, [=](T* row, const Pack<T>& x) { store_pack(row + i, x); });
    }
    if (i == n) return;
    visit([=](const T* row) { return load_some(row + i, n - i); },
          [=](T* row, const Pack<T>& x) { store_some(row + i, x, n - i); });
}

// row / |row| in place; returns 1 / |row|, and 0 for a row of zeros
template <class T> T normalise(T* row, std::ptrdiff_t n) {
    Pack<T> square{};
    for_each_pack<T>(n, [&](auto load, auto) { square += load(row) * load(row); });
    const T total = lane_sum(square);
    if (total == 0) return 0;
    const T inverse = 1 / T(__builtin_sqrt(total));
    for_each_pack<T>(n, [&](auto load, auto store) { store(row, load(row) * inverse); });
    return inverse;
}

// k_s -> v_s in place; returns e, and k_s^zeta where `powers` is not null
template <class T>
T kernel_energy(T* overlap, const T* weights, std::ptrdiff_t n, std::int64_t zeta, T* powers) {
    Pack<T> energy{};
    for_each_pack<T>(n, [&](auto load, auto store) {
        const Pack<T> k = load(overlap), w = load(weights);
        const Pack<T> lower = integer_power(k, zeta - 1);
        const Pack<T> power = lower * k;
        energy += w * power;
        if (powers != nullptr) store(powers, power);
        store(overlap, w * lower * T(zeta));
    });
    return lane_sum(energy);
}

// h -> de/dp in place
template <class T> void unnormalise(T* gradient, const T* unit, std::ptrdiff_t n, T along, T inverse) {
    for_each_pack<T>(n, [&](auto load, auto store) { store(gradient, (load(gradient) - load(unit) * along) * inverse); });
}

}  // namespace rhopot::RHOPOT_VARIANT
