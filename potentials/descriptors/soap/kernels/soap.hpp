// The power spectrum and linear models on it, on tensors and without autograd.
#pragma once

#include "density/kernels/read_out.hpp"

namespace rhopot {

// F of the power spectrum of a graph's density
inline std::int64_t n_features(const GraphArguments& a) { return a.width() * (a.width() + 1) / 2 * (a.l_max() + 1); }

// p[C, F]; with a tangent [C, LM, U] its derivative along it
at::Tensor power(const at::Tensor& density, const at::Tensor& tangent = {});
// d[C, LM, U] for h[C, F]: linear in h and in the density
at::Tensor power_adjoint(const at::Tensor& density, const at::Tensor& adjoint);

at::Tensor soap(const GraphArguments& a);
at::Tensor soap_adjoint(const GraphArguments& a, const at::Tensor& adjoint);
std::tuple<at::Tensor, at::Tensor> soap_jacobian(const GraphArguments& a);

// throws when the weights do not fit
AtomEnergies soap_linear(const GraphArguments& a, const at::Tensor& weights, bool members, bool want_gradient);

}  // namespace rhopot
