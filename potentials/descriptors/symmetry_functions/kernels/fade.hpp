// The cutoff function on packs of distances, and on their duals.
#pragma once

#include "density/kernels/elementary.hpp"
#include "grid.hpp"

namespace rhopot::RHOPOT_VARIANT {

// a number and its derivative by distance
template <class V> struct Curve {
    V value;
    V derivative;
};

// f_c and f_c'
template <class T, class V> RHOPOT_INLINE Curve<V> fade(const SymmetryGrid<T>& grid, const V& r) {
    V t = (r - (grid.cutoff - grid.width)) * (1 / grid.width);
    t = where(values(t) > T(0), t, T(0));
    t = where(values(t) < T(1), t, T(1));
    if (grid.fade == FadeKind::quintic) {
        const V u = t * T(-1) + T(1), tu = t * u;
        return {u * u * u * ((t * T(6) + T(3)) * t + T(1)), tu * tu * (-30 / grid.width)};
    }
    const V y = (t - T(0.5)) * T(3.14159265358979323846);
    return {sine(y) * T(-0.5) + T(0.5), cosine(y) * (T(-1.57079632679489661923) / grid.width)};
}

}  // namespace rhopot::RHOPOT_VARIANT
