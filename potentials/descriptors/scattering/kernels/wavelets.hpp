// Solid-harmonic wavelets at a pack of frequencies at once, and the derivative of their weighted sum.
//
//   psi_m(w) = sqrt(4 pi / (2l+1)) |w|^(2(n-1-l)) R_lm(w) exp(-beta^2 |w|^2 / 2),    R_lm = |w|^l Y_lm(w / |w|)
//
// R is a polynomial: the recurrence of the harmonics with |w|^2 in the place of 1 (`harmonics.hpp` of the engine).
#pragma once

#include "density/kernels/elementary.hpp"
#include "kernels.hpp"

namespace rhopot::RHOPOT_VARIANT {

// psi[m] for the 2l+1 orders m = -l ... l at w = (x, y, z), with the Gaussian and |w|^2 known
template <class V>
RHOPOT_INLINE void wavelets(const WaveletShape& shape, const V& x, const V& y, const V& z, const V& square, const V& gauss,
                            V* psi) {
    const HarmonicConstants<double>& k = *shape.constants;
    const int l = shape.degree;
    const V radial = gauss * power(square, shape.order - 1 - l) * shape.factor;
    V cosine = whole<V>(1), sine = V{};
    for (int m = 0; m <= l; ++m) {
        V before{}, legendre = whole<V>(1) * k.diagonal[m];
        for (int degree = m + 1; degree <= l; ++degree) {
            const V next = (z * legendre - square * before * k.offset[degree][m]) * k.factor[degree][m];
            before = legendre;
            legendre = next;
        }
        const V common = radial * legendre;
        psi[l + m] = common * cosine;
        if (m > 0) psi[l - m] = common * sine;
        const V rotated = cosine * x - sine * y;
        sine = sine * x + cosine * y;
        cosine = rotated;
    }
}

// w of a pack of frequencies of a row, from number `first` on
struct Frequencies {
    Pack<double> index, x, y, z, square, gauss;

    RHOPOT_INLINE Frequencies(const WaveletShape& shape, const double* start, const double* step, std::int64_t first) {
        for (int lane = 0; lane < WIDTH<double>; ++lane) index[lane] = double(first + lane);
        x = start[0] + index * step[0];
        y = start[1] + index * step[1];
        z = start[2] + index * step[2];
        square = x * x + y * y + z * z;
        gauss = exponential(square * (-0.5 * shape.beta * shape.beta));
    }
};

inline void wavelet_row(const WaveletShape& shape, const double* start, const double* step, std::int64_t n, double* row,
                        std::int64_t stride) {
    Pack<double> psi[2 * DEGREE_LIMIT + 1];
    for (std::int64_t first = 0; first < n; first += WIDTH<double>) {
        const Frequencies w(shape, start, step, first);
        wavelets(shape, w.x, w.y, w.z, w.square, w.gauss, psi);
        for (int m = 0; m <= 2 * shape.degree; ++m) {
            double* to = row + m * stride + first;
            if (n - first >= WIDTH<double>) store_pack(to, psi[m]);
            else store_some(to, psi[m], n - first);
        }
    }
}

inline void wavelet_row_adjoint(const WaveletShape& shape, const double* start, const double* step, std::int64_t n,
                                const double* incoming, std::int64_t stride, double* by_start, double* by_step) {
    using V = Dual<Pack<double>>;
    const Pack<double> none{}, one = none + 1.0;
    V psi[2 * DEGREE_LIMIT + 1];
    Pack<double> derivative[3] = {none, none, none}, moment[3] = {none, none, none};
    for (std::int64_t first = 0; first < n; first += WIDTH<double>) {
        const Frequencies w(shape, start, step, first);
        const Pack<double> at[3] = {w.x, w.y, w.z};
        for (int axis = 0; axis < 3; ++axis) {
            const V x{w.x, axis == 0 ? one : none}, y{w.y, axis == 1 ? one : none}, z{w.z, axis == 2 ? one : none};
            const V gauss{w.gauss, w.gauss * at[axis] * (-shape.beta * shape.beta)}, square{w.square, 2.0 * at[axis]};
            wavelets(shape, x, y, z, square, gauss, psi);
            Pack<double> g = none;
            for (int m = 0; m <= 2 * shape.degree; ++m) {
                const double* from = incoming + m * stride + first;
                g += psi[m].derivative * (n - first >= WIDTH<double> ? load_pack(from) : load_some(from, n - first));
            }
            derivative[axis] += g;
            moment[axis] += w.index * g;
        }
    }
    for (int axis = 0; axis < 3; ++axis) {
        by_start[axis] += lane_sum(derivative[axis]);
        by_step[axis] += lane_sum(moment[axis]);
    }
}

}  // namespace rhopot::RHOPOT_VARIANT
