// Runs the TorchScript module of a file of kind `cv`.

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "../torch_model.h"
#include "collective_variable.h"

namespace rhopot {

struct CollectiveVariable::Implementation {
  CvFile file;
  torch::jit::Module module;

  // A part's edge vectors and the sums of its contributions, of this step.
  struct Part {
    at::Tensor vectors, sums;
    int64_t n_edges = 0;
  };
  std::vector<Part> parts;
  at::Tensor sums, positions, values;
  at::Tensor by_sums;    // dV/d(sums), after pull_back

  [[noreturn]] void refuse(const std::string &reason) const
  {
    throw std::runtime_error("collective variable '" + file.name + "' " + reason);
  }

  template <typename Work> auto call(const Work &work) const -> decltype(work())
  {
    try {
      return work();
    } catch (const std::exception &exception) {
      refuse("failed: " + cause_of(exception));
    }
  }

  at::Tensor forward(const at::Tensor &vectors, const EdgeBatch &b)
  {
    const auto tensor = [](const int64_t *data, int64_t n) {
      return at::from_blob(const_cast<int64_t *>(data), {n}, at::kLong);
    };
    const at::Tensor output = call([&] {
      return module
          .forward({vectors, tensor(b.first_edge, b.n_centres + 1), tensor(b.neighbour, b.n_edges),
                    tensor(b.centre, b.n_centres), tensor(b.species, b.n_atoms)})
          .toTensor();
    });
    if (output.dim() != 2 || output.size(0) != b.n_centres || output.size(1) != file.header.n_sums ||
        output.scalar_type() != at::kDouble)
      refuse("must return float64 [centers, " + std::to_string(file.header.n_sums) + "] from forward; write it again");
    return output;
  }
};

CollectiveVariable::CollectiveVariable(const CvFile &file) : impl_(new Implementation{file, {}, {}, {}, {}, {}, {}})
{
  require_operators(file.header.operators, file.name, file.header.written_by);
  try {
    std::istringstream stream(file.bytes);
    impl_->module = torch::jit::load(stream, c10::Device(at::kCPU));
    impl_->module.eval();
    for (at::Tensor parameter : impl_->module.parameters()) parameter.requires_grad_(false);
  } catch (const std::exception &exception) {
    impl_->refuse("cannot be loaded: " + cause_of(exception) + "; it may come from a newer rhopot or torch, or be damaged");
  }
  // What is wrong with a file is found here, by all ranks together: a dimer, and points on a bent line.
  const CvHeader &header = impl_->file.header;
  std::vector<double> sums(header.n_sums, 0.0), positions;
  for (size_t a = 0; a < header.atoms.size(); a++) positions.insert(positions.end(), {1.1 * a, 0.3 * a * a, 0.1 * a * a * a});
  start(1);
  if (header.cutoff > 0.0) {
    const double r = 0.6 * header.cutoff;
    const std::vector<double> vectors = {r, 0.0, 0.0, -r, 0.0, 0.0};
    const std::vector<int64_t> first_edge = {0, 1, 2}, neighbour = {1, 0}, centre = {0, 1}, species = {0, 0};
    std::vector<double> gradient(6);
    add(0, {2, 2, 2, vectors.data(), first_edge.data(), neighbour.data(), centre.data(), species.data()}, sums.data());
    finish(sums, positions);
    pull_back(std::vector<double>(header.names.size(), 1.0));
    gradients(0, gradient.data());
    return;
  }
  finish(sums, positions);
  pull_back(std::vector<double>(header.names.size(), 1.0));
}

CollectiveVariable::~CollectiveVariable() = default;

const CvHeader &CollectiveVariable::header() const
{
  return impl_->file.header;
}

void CollectiveVariable::start(int n_parts)
{
  impl_->parts.assign(n_parts, {});
}

void CollectiveVariable::add(int part, const EdgeBatch &batch, double *sums)
{
  const NoProfiling guard;
  Implementation &m = *impl_;
  Implementation::Part &mine = m.parts[part];
  mine = {};
  mine.n_edges = batch.n_edges;
  if (batch.n_centres == 0) return;
  mine.vectors =
      at::from_blob(const_cast<double *>(batch.vectors), {batch.n_edges, 3}, at::kDouble).requires_grad_(batch.n_edges > 0);
  mine.sums = m.call([&] { return m.forward(mine.vectors, batch).sum(0); });
  const at::Tensor numbers = on_processor(mine.sums);
  for (int64_t k = 0; k < numbers.numel(); k++) sums[k] += numbers.const_data_ptr<double>()[k];
}

std::vector<double> CollectiveVariable::finish(const std::vector<double> &sums, const std::vector<double> &positions)
{
  const NoProfiling guard;
  Implementation &m = *impl_;
  const auto copied = [](const std::vector<double> &numbers, at::IntArrayRef shape) {
    at::Tensor tensor = at::zeros(shape, at::kDouble);
    std::copy(numbers.begin(), numbers.end(), tensor.mutable_data_ptr<double>());
    return tensor.requires_grad_(true);
  };
  m.sums = copied(sums, {static_cast<int64_t>(sums.size())});
  m.positions = copied(positions, {static_cast<int64_t>(positions.size() / 3), 3});
  const auto method = m.module.find_method("finish");
  if (!method) m.refuse("has no method 'finish'; write it again");
  m.values = m.call([&] { return (*method)({m.sums, m.positions}).toTensor(); });
  const int64_t n = static_cast<int64_t>(header().names.size());
  if (m.values.dim() != 1 || m.values.size(0) != n || m.values.scalar_type() != at::kDouble)
    m.refuse("must return float64 [" + std::to_string(n) + "] from finish; write it again");
  std::vector<double> values(n);
  copy_numbers(m.values, values.data());
  return values;
}

std::vector<double> CollectiveVariable::pull_back(const std::vector<double> &by_values)
{
  const NoProfiling guard;
  Implementation &m = *impl_;
  if (!m.values.requires_grad()) m.refuse("must depend on the positions of atoms; write it again");
  const at::Tensor weights =
      at::from_blob(const_cast<double *>(by_values.data()), {static_cast<int64_t>(by_values.size())}, at::kDouble);
  const std::vector<at::Tensor> found = m.call([&] {
    return torch::autograd::grad({m.values}, {m.sums, m.positions}, {weights}, /*retain_graph=*/false, /*create_graph=*/false,
                                 /*allow_unused=*/true);
  });
  m.by_sums = found[0].defined() ? found[0].detach() : at::zeros_like(m.sums);
  std::vector<double> by_positions(m.positions.numel(), 0.0);
  if (found[1].defined()) copy_numbers(found[1], by_positions.data());
  return by_positions;
}

void CollectiveVariable::gradients(int part, double *target) const
{
  const NoProfiling guard;
  const Implementation::Part &mine = impl_->parts[part];
  std::fill_n(target, 3 * mine.n_edges, 0.0);
  if (mine.n_edges == 0 || !mine.sums.defined() || !mine.sums.requires_grad()) return;
  impl_->call([&] {
    const at::Tensor found = torch::autograd::grad({mine.sums}, {mine.vectors}, {impl_->by_sums}, /*retain_graph=*/false,
                                                   /*create_graph=*/false, /*allow_unused=*/true)[0];
    if (found.defined()) copy_numbers(found, target);
  });
}

}    // namespace rhopot
