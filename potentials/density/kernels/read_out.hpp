// Energies linear in features of atoms, with a column of weights for the prediction and one for each member.
#pragma once

#include "arguments.hpp"

namespace rhopot {

struct AtomEnergies {
    at::Tensor energies;  // [C, 1+K], or [C, 1] without members
    at::Tensor gradient;  // [E, 3] of column 0, defined when asked for
};

// weights [1 or A, F, 1+K] of the dtype of the graph for F = n_features, or throws with a sentence
void check_weights(const GraphArguments& a, const at::Tensor& weights, std::int64_t n_features);
// energies[C, 1...K] = sum_f features[C, F] weights[a_i, F, 1...K]; column 0 stays as it is
void add_members(const GraphArguments& a, const at::Tensor& features, const at::Tensor& weights, at::Tensor& energies);
// h[C, F] = sum_k adjoint[C, k] weights[a_i, F, k]; differentiable by autograd in `adjoint`
at::Tensor weigh(const GraphArguments& a, const at::Tensor& weights, const at::Tensor& adjoint);

}  // namespace rhopot
