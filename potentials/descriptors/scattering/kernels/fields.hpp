// Fields of wavelets on tensors, without autograd: what the operators of scattering and their derivatives are made of.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <vector>

#include "kernels.hpp"

namespace rhopot {

// A wavelet's filter on its own grid, and the grid whose half spectra it is applied to.
struct Wavelet {
    at::Tensor filter;                  // [M, p1, p2, p3/2 + 1], zero at and beyond the edge of its band
    std::array<std::int64_t, 3> have;   // points of the spectra's grid
    std::array<std::int64_t, 3> points; // p1, p2, p3
    bool odd = false;                   // products are times -i, so that fields are real

    std::int64_t n_components() const { return filter.size(0); }
    std::int64_t n_points() const { return points[0] * points[1] * points[2]; }
    // throws with one sentence when the filter or the spectra [S, n1, n2, n3/2 + 1] do not fit
    void check(const at::Tensor& spectra) const;

    // fields[M, V] of one spectrum [n1, n2, n3/2 + 1]
    void fields(const at::Tensor& spectrum, double* fields) const;
    // by_spectrum and by_filter += for by_fields [M, V]
    void adjoint(const at::Tensor& spectrum, const at::Tensor& by_fields, const at::Tensor& by_spectrum,
                 const at::Tensor& by_filter) const;
};

// Fourier coefficients [C, n1, n2, n3/2 + 1] of real fields [C, n1, n2, n3], divided by the number of points, with
// zeros where 2 k3 = n3; and dE/d fields for dE/d coefficients
at::Tensor coefficients(const at::Tensor& fields);
at::Tensor coefficients_adjoint(const at::Tensor& by_coefficients, const std::array<std::int64_t, 3>& points);

// psi[2l+1, n1, n2, n3/2 + 1] of a wavelet on a grid, zero at and beyond the edge of its band
struct Filters {
    at::Tensor dual;                    // [3, 3] in 1/A, columns: w = dual k
    std::array<std::int64_t, 3> points;
    WaveletShape shape;

    at::Tensor values() const;
    // dE/d dual [3, 3] for dE/d psi
    at::Tensor adjoint(const at::Tensor& incoming) const;
};
// throws with one sentence when arguments do not fit
Filters filters_of(const at::Tensor& dual, const std::array<std::int64_t, 3>& points, double beta, std::int64_t order,
                   std::int64_t degree);

std::vector<Power> powers_of(at::ArrayRef<double> powers);

}  // namespace rhopot
