// Filters of wavelets on tensors: frequencies of a grid, row by row.
#include <ATen/ops/zeros.h>

#include <cmath>

#include "fields.hpp"

namespace rhopot {
namespace {

using at::Tensor;

std::int64_t wave_number(std::int64_t index, std::int64_t points) { return index > (points - 1) / 2 ? index - points : index; }

// work(place of the row, {k1, k2}, w at k3 = 0, step of w along the row) for every row of the half spectrum inside the band
template <class Work> void over_band(const Filters& filters, const Work& work) {
    const double* dual = filters.dual.const_data_ptr<double>();
    const double step[3] = {dual[2], dual[5], dual[8]};
    const auto& n = filters.points;
    for (std::int64_t i = 0; i < n[0]; ++i) {
        for (std::int64_t j = 0; j < n[1]; ++j) {
            const std::int64_t k[2] = {wave_number(i, n[0]), wave_number(j, n[1])};
            if (2 * std::abs(k[0]) >= n[0] || 2 * std::abs(k[1]) >= n[1]) continue;
            double start[3];
            for (int axis = 0; axis < 3; ++axis) {
                start[axis] = double(k[0]) * dual[3 * axis] + double(k[1]) * dual[3 * axis + 1];
            }
            work((i * n[1] + j) * (n[2] / 2 + 1), k, start, step);
        }
    }
}

}  // namespace

Filters filters_of(const Tensor& dual, const std::array<std::int64_t, 3>& points, double beta, std::int64_t order,
                   std::int64_t degree) {
    TORCH_CHECK_VALUE(dual.device().is_cpu() && dual.scalar_type() == at::kDouble && dual.dim() == 2 && dual.size(0) == 3 &&
                          dual.size(1) == 3,
                      "dual must be (3, 3) of float64 on the CPU, got ", dual.sizes(), " of ", dual.scalar_type());
    TORCH_CHECK_VALUE(degree >= 0 && degree < order && degree <= DEGREE_LIMIT,
                      "degree must be from 0 to order - 1 and at most ", DEGREE_LIMIT, ", got ", degree, " for order ", order);
    TORCH_CHECK_VALUE(beta > 0, "beta must be positive, got ", beta);
    const double factor = std::sqrt(4 * M_PI / double(2 * degree + 1));
    return {dual.contiguous(), points, {beta, factor, int(order), int(degree), &harmonic_constants<double>()}};
}

Tensor Filters::values() const {
    const std::int64_t row = points[2] / 2 + 1, stride = points[0] * points[1] * row, inside = (points[2] - 1) / 2 + 1;
    const Tensor psi = at::zeros({2 * shape.degree + 1, points[0], points[1], row}, dual.options());
    double* to = psi.mutable_data_ptr<double>();
    over_band(*this, [&](std::int64_t place, const std::int64_t*, const double* start, const double* step) {
        scattering_kernels().wavelet_row(shape, start, step, inside, to + place, stride);
    });
    return psi;
}

Tensor Filters::adjoint(const Tensor& incoming) const {
    const Tensor derivatives = incoming.contiguous(), by_dual = at::zeros({3, 3}, dual.options());
    const std::int64_t stride = derivatives[0].numel(), inside = (points[2] - 1) / 2 + 1;
    const double* from = derivatives.const_data_ptr<double>();
    double* to = by_dual.mutable_data_ptr<double>();
    over_band(*this, [&](std::int64_t place, const std::int64_t* k, const double* start, const double* step) {
        double by_start[3] = {0, 0, 0}, by_step[3] = {0, 0, 0};
        scattering_kernels().wavelet_row_adjoint(shape, start, step, inside, from + place, stride, by_start, by_step);
        for (int axis = 0; axis < 3; ++axis) {
            to[3 * axis] += double(k[0]) * by_start[axis];
            to[3 * axis + 1] += double(k[1]) * by_start[axis];
            to[3 * axis + 2] += by_step[axis];
        }
    });
    return by_dual;
}

}  // namespace rhopot
