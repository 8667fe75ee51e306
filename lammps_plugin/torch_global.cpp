// Models of kind `global`: energies of a structure and its members, and their gradients by positions and cell.

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "torch_model.h"

namespace rhopot {

// Two atoms in a periodic box, so small that it costs little.
void Model::try_out_global() const
{
  const std::vector<double> positions = {0.1, 0.2, 0.3, 2.1, 1.9, 1.7}, cell = {3.7, 0.0, 0.0, 0.0, 3.8, 0.0, 0.0, 0.0, 3.9};
  const std::vector<int64_t> species = {0, 0};
  const bool pbc[3] = {true, true, true};
  const Structure structure{2, positions.data(), species.data(), cell.data(), pbc};
  const std::vector<double> prepared = prepare(structure, 1.0);
  std::vector<double> energies(1 + impl_->header.members), by_positions(6), by_cell(9);
  for (const bool members : {false, true})
    evaluate_global(structure, prepared, {}, members, energies.data(), by_positions.data(), by_cell.data());
}

std::vector<double> Model::prepare(const Structure &s, double stretch) const
{
  const NoProfiling guard;
  auto method = impl_->method("prepare", "of kind 'global' must have a method 'prepare'; export it again");
  const at::Tensor prepared = impl_->call("cannot be prepared", [&] {
    return on_processor(
        method({impl_->tensor(s.positions, {s.n_atoms, 3}), impl_->tensor(s.cell, {3, 3}), impl_->tensor(s.pbc, {3}), stretch})
            .toTensor());
  });
  if (prepared.dim() != 1 || prepared.scalar_type() != at::kDouble)
    impl_->refuse("must prepare float64 numbers in a row; export it again");
  const double *const numbers = prepared.const_data_ptr<double>();
  return {numbers, numbers + prepared.numel()};
}

// Prepared numbers stay on the processor.
static at::Tensor view(const std::vector<double> &prepared)
{
  return at::from_blob(const_cast<double *>(prepared.data()), {static_cast<int64_t>(prepared.size())}, at::kDouble);
}

at::Tensor Model::Implementation::forward_global(const at::Tensor &positions, const at::Tensor &cell, const Structure &s,
                                                 const std::vector<double> &prepared, const Share &share, bool members) const
{
  const at::Tensor output = call("failed", [&] {
    return module
        .forward({positions, tensor(s.species, {s.n_atoms}), cell, tensor(s.pbc, {3}), view(prepared), share.index, share.count,
                  members})
        .toTensor();
  });
  if (output.dim() != 1 || output.size(0) != n_columns(members) || output.scalar_type() != at::kDouble)
    refuse("must return float64 [" + std::to_string(n_columns(members)) + "]; export it again");
  if (share.count == 1 && !output.requires_grad())
    refuse("must return an energy that depends on positions and cell; export it again");
  return output;
}

void Model::evaluate_global(const Structure &s, const std::vector<double> &prepared, const Share &share, bool members,
                            double *energies, double *by_positions, double *by_cell) const
{
  const NoProfiling guard;
  const auto [positions, cell] = impl_->call("failed", [&] {
    return std::pair(impl_->tensor(s.positions, {s.n_atoms, 3}).requires_grad_(),
                     impl_->tensor(s.cell, {3, 3}).requires_grad_());
  });
  const at::Tensor output = impl_->forward_global(positions, cell, s, prepared, share, members);
  impl_->call("failed", [&] { copy_numbers(output, energies); });
  std::fill_n(by_positions, 3 * s.n_atoms, 0.0);
  std::fill_n(by_cell, 9, 0.0);
  if (!output.requires_grad()) return;    // a share without work
  impl_->call("has no forces", [&, &positions = positions, &cell = cell] {
    const auto g = torch::autograd::grad({output[0]}, {positions, cell}, {}, std::nullopt, false, /*allow_unused=*/true);
    if (g[0].defined()) copy_numbers(g[0], by_positions);
    if (g[1].defined()) copy_numbers(g[1], by_cell);
  });
}

void Model::evaluate_members(const Structure &s, const std::vector<double> &prepared, const Share &share,
                             double *by_positions) const
{
  const NoProfiling guard;
  auto method = impl_->method("member_gradients", "has members without forces; train it again");
  const at::Tensor gradients = impl_->call("failed", [&] {
    return on_processor(method({impl_->tensor(s.positions, {s.n_atoms, 3}), impl_->tensor(s.species, {s.n_atoms}),
                                impl_->tensor(s.cell, {3, 3}), impl_->tensor(s.pbc, {3}), view(prepared), share.index,
                                share.count, static_cast<int64_t>(force_members())})
                            .toTensor());
  });
  if (gradients.numel() != 3 * s.n_atoms * force_members() || gradients.scalar_type() != at::kDouble)
    impl_->refuse("must return float64 gradients of " + std::to_string(force_members()) + " members; export it again");
  copy_numbers(gradients, by_positions);
}

}    // namespace rhopot
