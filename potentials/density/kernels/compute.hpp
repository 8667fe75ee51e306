// Kernels on tensors, without autograd: what the operators and their derivatives are made of.
#pragma once

#include "arguments.hpp"

namespace rhopot {

// c[C, LM, U]; with tangents [E, 3] its derivative along them
at::Tensor expand(const GraphArguments& a, const at::Tensor& tangents = {});
// g[E, 3] for d[C, LM, U]; with tangents its derivative along them
at::Tensor expand_adjoint(const GraphArguments& a, const at::Tensor& adjoint, const at::Tensor& tangents = {});
// p[C, F]; with a tangent [C, LM, U] its derivative along it
at::Tensor power(const at::Tensor& density, const at::Tensor& tangent = {});
// d[C, LM, U] for h[C, F]: linear in h and in the density
at::Tensor power_adjoint(const at::Tensor& density, const at::Tensor& adjoint);

at::Tensor soap(const GraphArguments& a);
at::Tensor soap_adjoint(const GraphArguments& a, const at::Tensor& adjoint);
std::tuple<at::Tensor, at::Tensor> soap_jacobian(const GraphArguments& a);

struct LinearResult {
    at::Tensor energies;  // [C, 1+K], or [C, 1] without members
    at::Tensor gradient;  // [E, 3] of column 0, defined when asked for
};
// throws when the weights do not fit
LinearResult soap_linear(const GraphArguments& a, const at::Tensor& weights, bool members, bool want_gradient);
// h[C, F] = sum_k adjoint[C, k] weights[a_i, F, k]; differentiable by autograd in `adjoint`
at::Tensor weigh(const GraphArguments& a, const at::Tensor& weights, const at::Tensor& adjoint);

}  // namespace rhopot
