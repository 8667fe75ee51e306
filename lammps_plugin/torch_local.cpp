// Models of kind `local`: energies of centres and members, and their gradients by edge vectors.

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "torch_model.h"

namespace rhopot {

// A dimer.
void Model::try_out_edges() const
{
  const double r = 0.6 * impl_->header.cutoff;
  const std::vector<double> vectors = {r, 0.0, 0.0, -r, 0.0, 0.0};
  const std::vector<int64_t> first_edge = {0, 1, 2}, neighbour = {1, 0}, centre = {0, 1}, species = {0, 0};
  const EdgeBatch dimer{2, 2, 2, vectors.data(), first_edge.data(), neighbour.data(), centre.data(), species.data()};
  std::vector<double> energies(2 * (1 + impl_->header.members)), gradients(6), of_members(6 * force_members());
  evaluate(dimer, false, energies.data(), gradients.data());
  evaluate(dimer, true, energies.data(), gradients.data(), of_members.data());
  std::vector<double> grades(2);
  if (impl_->header.extrapolation) grade(dimer, grades.data());
}

at::Tensor Model::Implementation::forward(const at::Tensor &vectors, const EdgeBatch &b, bool members) const
{
  const at::Tensor output = call("failed", [&] {
    return module
        .forward({vectors, tensor(b.first_edge, {b.n_centres + 1}), tensor(b.neighbour, {b.n_edges}),
                  tensor(b.centre, {b.n_centres}), tensor(b.species, {b.n_atoms}), members})
        .toTensor();
  });
  if (output.dim() != 2 || output.size(0) != b.n_centres || output.size(1) != columns(members) ||
      output.scalar_type() != at::kDouble)
    refuse("must return float64 [centres, " + std::to_string(columns(members)) + "]; export it again");
  if (b.n_edges > 0 && !output.requires_grad()) refuse("must return energies that depend on the edge vectors; export it again");
  return output;
}

void Model::evaluate(const EdgeBatch &batch, bool members, double *energies, double *gradients, double *member_gradients) const
{
  const NoProfiling guard;
  // With layers of messages a rank without edges has a part in the other ranks' gradients: their features pass through it.
  const bool has_gradient = batch.n_edges > 0 || impl_->header.n_layers > 1;
  const at::Tensor vectors =
      impl_->call("failed", [&] { return impl_->tensor(batch.vectors, {batch.n_edges, 3}).requires_grad_(has_gradient); });
  const at::Tensor output = impl_->forward(vectors, batch, members);
  impl_->call("failed", [&] { copy_numbers(output, energies); });
  if (!has_gradient) return;
  const int last = member_gradients && members ? force_members() : 0;
  for (int column = 0; column <= last; column++) {
    double *const target = column == 0 ? gradients : member_gradients + 3 * batch.n_edges * (column - 1);
    impl_->call("has no forces", [&] {
      const at::Tensor total = output.select(1, column).sum();
      copy_numbers(torch::autograd::grad({total}, {vectors}, {}, /*retain_graph=*/column < last)[0], target);
    });
  }
}

void Model::grade(const EdgeBatch &b, double *grades) const
{
  const NoProfiling guard;
  const at::NoGradGuard no_gradients;
  const Implementation &m = *impl_;
  torch::jit::Method method = m.method("extrapolation_grades", "does not grade environments; train it again with this version");
  m.call("has no extrapolation grades", [&] {
    const at::Tensor output =
        method({m.tensor(b.vectors, {b.n_edges, 3}), m.tensor(b.first_edge, {b.n_centres + 1}),
                m.tensor(b.neighbour, {b.n_edges}), m.tensor(b.centre, {b.n_centres}), m.tensor(b.species, {b.n_atoms})})
            .toTensor();
    if (output.dim() != 1 || output.size(0) != b.n_centres || output.scalar_type() != at::kDouble)
      throw std::runtime_error("the method must return float64 [centres]; export it again");
    copy_numbers(output, grades);
  });
}

}    // namespace rhopot
