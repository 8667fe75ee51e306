// Sparse-kernel models on the power spectrum, on tensors and without autograd.
#pragma once

#include <vector>

#include "descriptors/soap/kernels/soap.hpp"

namespace rhopot {

// A sparse-kernel model: e[i, k] = sum_s weights[s, k] (u_i . points[s])^zeta over the points of the centre's species
struct SparseModel {
    at::Tensor points;                      // [M, F']
    std::vector<std::int64_t> first_point;  // [A + 1]: species a has the points first_point[a] ... first_point[a+1]-1
    at::Tensor weights;                     // [M, 1+K]
    std::int64_t zeta = 0;
    at::Tensor features;                    // [F'] columns of p that the kernel reads; undefined: all

    // throws c10::Error with one sentence when something does not fit
    void check(const GraphArguments& a) const;

    template <class Self, class Visit> static void visit(Self& self, const Visit& visit) {
        visit(self.points);
        visit(self.first_point);
        visit(self.weights);
        visit(self.zeta);
        visit(self.features);
    }
};
AtomEnergies soap_gap(const GraphArguments& a, const SparseModel& model, bool members, bool want_gradient);
// dE/dp[C, F] for dE/de[C, k] = adjoint at the power spectrum p[C, F]; differentiable by autograd in both
at::Tensor sparse_adjoint(const GraphArguments& a, const SparseModel& model, const at::Tensor& spectrum,
                          const at::Tensor& adjoint);

}  // namespace rhopot
