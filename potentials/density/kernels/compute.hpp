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

struct AtomEnergies {
    at::Tensor energies;  // [C, 1+K], or [C, 1] without members
    at::Tensor gradient;  // [E, 3] of column 0, defined when asked for
};
// throws when the weights do not fit
AtomEnergies soap_linear(const GraphArguments& a, const at::Tensor& weights, bool members, bool want_gradient);
// h[C, F] = sum_k adjoint[C, k] weights[a_i, F, k]; differentiable by autograd in `adjoint`
at::Tensor weigh(const GraphArguments& a, const at::Tensor& weights, const at::Tensor& adjoint);

// A sparse-kernel model: e[i, k] = sum_s weights[s, k] (u_i . points[s])^zeta over the points of the centre's species
struct SparseModel {
    at::Tensor points;                      // [M, F']
    std::vector<std::int64_t> first_point;  // [A + 1]: species a has the points first_point[a] ... first_point[a+1]-1
    at::Tensor weights;                     // [M, 1+K]
    std::int64_t zeta;
    at::Tensor features;                    // [F'] columns of p that the kernel reads; undefined: all

    // throws c10::Error with one sentence when something does not fit
    void check(const GraphArguments& a) const;
};
AtomEnergies soap_gap(const GraphArguments& a, const SparseModel& model, bool members, bool want_gradient);
// dE/dp[C, F] for dE/de[C, k] = adjoint at the power spectrum p[C, F]; differentiable by autograd in both
at::Tensor sparse_adjoint(const GraphArguments& a, const SparseModel& model, const at::Tensor& spectrum,
                          const at::Tensor& adjoint);

}  // namespace rhopot
