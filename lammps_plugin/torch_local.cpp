// Models of kind `local`: energies of centres and members, and their gradients by edge vectors.

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>
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

std::vector<c10::IValue> Model::Implementation::arguments(const at::Tensor &vectors, const EdgeBatch &b) const
{
  return {vectors, tensor(b.first_edge, {b.n_centres + 1}), tensor(b.neighbour, {b.n_edges}), tensor(b.centre, {b.n_centres}),
          tensor(b.species, {b.n_atoms})};
}

Model::Implementation::Energies Model::Implementation::forward(const at::Tensor &vectors, const EdgeBatch &b,
                                                               bool members) const
{
  const Energies energies{call("failed", [&] {
    std::vector<c10::IValue> given = arguments(vectors, b);
    given.emplace_back(members);
    return module.forward(given).toTensor();
  })};
  check(energies, b, members);
  return energies;
}

Model::Implementation::Energies Model::Implementation::members_apart(const at::Tensor &vectors, const EdgeBatch &b) const
{
  const Energies energies = call("failed", [&] {
    const auto found = module.get_method("members_apart")(arguments(vectors, b)).toTuple();
    return Energies{found->elements().at(0).toTensor(), found->elements().at(1).toTensorVector(),
                    found->elements().at(2).toTensor().item<double>()};
  });
  check(energies, b, true);
  if (static_cast<int>(energies.apart.size()) != header.members)
    refuse("must return the energies of every member; export it again");
  return energies;
}

void Model::Implementation::check(const Energies &energies, const EdgeBatch &b, bool members) const
{
  const at::Tensor &columns = energies.columns;
  if (columns.dim() != 2 || columns.size(0) != b.n_centres || columns.size(1) != n_columns(members) ||
      columns.scalar_type() != at::kDouble)
    refuse("must return float64 [centres, " + std::to_string(n_columns(members)) + "]; export it again");
  if (b.n_edges > 0 && !columns.requires_grad())
    refuse("must return energies that depend on the edge vectors; export it again");
}

// d(sum of a column)/d(edge vector) [E, 3] of column 0 and of those of the first members.
std::vector<at::Tensor> Model::Implementation::Energies::gradients(const at::Tensor &vectors, int n_members) const
{
  std::vector<at::Tensor> energies = apart;
  if (apart.empty())
    for (int column = 0; column <= n_members; column++) energies.push_back(columns.select(1, column));
  std::vector<at::Tensor> found;
  for (size_t k = 0; k < energies.size(); k++)
    found.push_back(torch::autograd::grad({energies[k].sum()}, {vectors}, {}, /*retain_graph=*/k + 1 < energies.size())[0]);
  if (apart.empty()) return found;
  at::Tensor mean = at::zeros_like(found[0]);
  for (const at::Tensor &g : found) mean.add_(g, 1.0 / static_cast<double>(found.size()));
  std::vector<at::Tensor> of_columns = {mean};
  for (int k = 0; k < n_members; k++) of_columns.push_back(mean.add(found[k].sub(mean), calibration));
  return of_columns;
}

void Model::evaluate(const EdgeBatch &batch, bool members, double *energies, double *gradients, double *member_gradients) const
{
  const NoProfiling guard;
  const Implementation &m = *impl_;
  // With layers of messages a rank without edges has a part in the other ranks' gradients: their features pass through it.
  const bool has_gradient = batch.n_edges > 0 || m.header.n_layers > 1;
  const int last = member_gradients && members ? force_members() : 0;
  const at::Tensor vectors =
      m.call("failed", [&] { return m.tensor(batch.vectors, {batch.n_edges, 3}).requires_grad_(has_gradient); });
  const bool apart = last > 0 && m.module.find_method("members_apart").has_value();
  const Implementation::Energies found = apart ? m.members_apart(vectors, batch) : m.forward(vectors, batch, members);
  m.call("failed", [&] { copy_numbers(found.columns, energies); });
  if (!has_gradient) return;
  m.call("has no forces", [&] {
    const std::vector<at::Tensor> of_columns = found.gradients(vectors, last);
    copy_numbers(of_columns[0], gradients);
    for (int k = 0; k < last; k++) copy_numbers(of_columns[1 + k], member_gradients + 3 * batch.n_edges * k);
  });
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
