// Model on top of TorchScript. The only file of the plugin that includes torch.

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/thread_pool.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <dlfcn.h>
#include <malloc.h>

#include <algorithm>
#include <exception>
#include <limits>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "archive.h"
#include "model.h"
#include "model_header.h"

namespace rhopot {
namespace {

[[noreturn]] void refuse(const std::string &name, const std::string &reason)
{
  throw std::runtime_error("model '" + name + "' " + reason);
}

// The line of an exception of torch that says what happened (not where in torch or in the model's code).
std::string cause(const std::exception &exception)
{
  const auto *torch_error = dynamic_cast<const c10::Error *>(&exception);
  std::istringstream text(torch_error ? torch_error->what_without_backtrace() : exception.what());
  std::string line, first, named;
  while (std::getline(text, line)) {
    if (first.empty()) first = line;
    const size_t colon = line.find(": ");
    if (colon == std::string::npos || line.find(' ') < colon) continue;
    if (line.rfind("Error", colon) == colon - 5 || line.rfind("Exception", colon) == colon - 9) named = line;
  }
  return named.empty() ? first : named;
}

// The card of a file whose every byte was checked.
ModelHeader read_header(const std::string &bytes, const std::string &name)
{
  const Records records = read_records(bytes, name);
  const ModelHeader header = parse_header(std::string(card_of(records)), name);
  require_seal(records, name);
  std::string unknown;
  for (const std::string &op : header.operators)
    if (!c10::Dispatcher::singleton().findSchema({op, ""})) unknown += (unknown.empty() ? "" : ", ") + op;
  if (!unknown.empty())
    throw std::runtime_error("operators of '" + name + "' must be among those of this rhopot, got " + unknown +
                             "; install rhopot " + header.written_by + ", which wrote it");
  return header;
}

torch::jit::Module load(const std::string &bytes, const std::string &name, c10::Device device)
{
  std::istringstream stream(bytes);
  try {
    torch::jit::Module module = torch::jit::load(stream, device);
    module.eval();
    for (at::Tensor parameter : module.parameters()) parameter.requires_grad_(false);
    return module;
  } catch (const std::exception &exception) {
    refuse(name, "cannot be loaded: " + cause(exception) + "; it may come from a newer rhopot or torch, or be damaged");
  }
}

// torch's CUDA side is opened where there is a driver: it takes seconds and half a gigabyte, and not every torch has it.
int count_gpus()
{
  static const bool opened = dlopen("libcuda.so.1", RTLD_LAZY) && dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL);
  return opened && at::hasCUDA() ? static_cast<int>(at::getNumGPUs()) : 0;
}

template <typename T> at::Tensor view(const T *data, at::IntArrayRef shape)
{
  return at::from_blob(const_cast<T *>(data), shape, c10::CppTypeToScalarType<T>::value);
}

// d(scalar)/d(vectors) into target[numel].
void copy_gradient(const std::string &name, const at::Tensor &scalar, const at::Tensor &vectors, bool keep_graph, double *target)
{
  try {
    const at::Tensor g = torch::autograd::grad({scalar}, {vectors}, {}, keep_graph)[0].to(at::kCPU).contiguous();
    std::copy_n(g.const_data_ptr<double>(), g.numel(), target);
  } catch (const std::exception &exception) {
    refuse(name, "has no forces: " + cause(exception));
  }
}

std::unique_ptr<c10::ThreadPool> &helpers()
{
  static std::unique_ptr<c10::ThreadPool> pool;
  return pool;
}

// Tensors of many MB come and go in every step. By default glibc hands them back to the system each time, and pays for every
// page again: a tenth of the time of a step.
void keep_freed_memory()
{
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
#endif
}

}    // namespace

struct Model::Implementation {
  std::string name;
  ModelHeader header;
  c10::Device device;
  mutable torch::jit::Module module;

  at::Tensor forward(const at::Tensor &vectors, const EdgeBatch &b, bool members) const;
  void check_output(const at::Tensor &output, const EdgeBatch &b, bool members) const;
  at::Tensor forward_whole(const at::Tensor &positions, const at::Tensor &cell, const Structure &s,
                           const std::vector<double> &prepared, const Share &share, bool members) const;
  int64_t columns(bool members) const { return members ? 1 + header.members : 1; }
};

at::Tensor Model::Implementation::forward(const at::Tensor &vectors, const EdgeBatch &b, bool members) const
{
  const int64_t C = b.n_centres, E = b.n_edges, A = b.n_atoms;
  try {
    return module
        .forward({vectors, view(b.first_edge, {C + 1}).to(device), view(b.neighbour, {E}).to(device),
                  view(b.centre, {C}).to(device), view(b.species, {A}).to(device), members})
        .toTensor();
  } catch (const std::exception &exception) {
    refuse(name, "failed: " + cause(exception));
  }
}

void Model::Implementation::check_output(const at::Tensor &output, const EdgeBatch &b, bool members) const
{
  if (output.dim() != 2 || output.size(0) != b.n_centres || output.size(1) != columns(members) ||
      output.scalar_type() != at::kDouble)
    refuse(name, "must return float64 [centres, " + std::to_string(columns(members)) + "]; export it again");
  if (b.n_edges > 0 && !output.requires_grad())
    refuse(name, "must return energies that depend on the edge vectors; export it again");
}

Model::Model(const std::string &bytes, const std::string &name, const std::string &device, const Seat &seat)
{
  const ModelHeader header = read_header(bytes, name);
  const auto start = [&](c10::Device place) {
    impl_.reset(new Implementation{name, header, place, load(bytes, name, place)});
    try_out();
  };
  const int n_gpus = device == "cpu" ? 0 : count_gpus();
  if (device == "cuda" && n_gpus == 0)
    throw std::runtime_error("device must be auto or cpu here, got cuda; this torch finds no CUDA device");
  if (n_gpus == 0 || (device == "auto" && n_gpus < seat.count)) {
    start(at::kCPU);
    return;
  }
  try {
    start(c10::Device(at::kCUDA, static_cast<c10::DeviceIndex>(seat.rank % n_gpus)));
  } catch (const std::runtime_error &) {    // auto: an older file, whose operators the processor alone has
    if (device == "cuda") throw;
    start(at::kCPU);
  }
}

Model::~Model() = default;

const ModelHeader &Model::header() const
{
  return impl_->header;
}

bool Model::has_member_forces() const
{
  if (impl_->header.members == 0) return false;
  return impl_->header.kind == "local" || impl_->module.find_method("member_gradients").has_value();
}

std::string Model::device() const
{
  return impl_->device.str();
}

// What is wrong with a file is found here, by all ranks together, and not in the first time step by some.
void Model::try_out() const
{
  keep_freed_memory();
  if (impl_->header.kind == "global")
    try_out_whole();
  else
    try_out_edges();
}

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
}

void Model::evaluate(const EdgeBatch &batch, bool members, double *energies, double *gradients,
                     double *member_gradients) const
{
  // Without this guard the executor re-specialises for new shapes, and pauses; it is local to the thread.
  torch::jit::GraphOptimizerEnabledGuard no_profiling(false);
  at::Tensor vectors = view(batch.vectors, {batch.n_edges, 3}).to(impl_->device).requires_grad_(batch.n_edges > 0);
  const at::Tensor output = impl_->forward(vectors, batch, members);
  impl_->check_output(output, batch, members);
  const at::Tensor values = output.detach().to(at::kCPU).contiguous();
  std::copy_n(values.const_data_ptr<double>(), values.numel(), energies);
  if (batch.n_edges == 0) return;
  const int last = member_gradients && members ? force_members() : 0;
  for (int column = 0; column <= last; column++) {
    double *const target = column == 0 ? gradients : member_gradients + 3 * batch.n_edges * (column - 1);
    copy_gradient(impl_->name, output.select(1, column).sum(), vectors, /*keep_graph=*/column < last, target);
  }
}

// ---- whole structures -----------------------------------------------------------------------------------------------------

// Two atoms in a periodic box, so small that it costs little.
void Model::try_out_whole() const
{
  const std::vector<double> positions = {0.1, 0.2, 0.3, 2.1, 1.9, 1.7}, cell = {3.7, 0.0, 0.0, 0.0, 3.8, 0.0, 0.0, 0.0, 3.9};
  const std::vector<int64_t> species = {0, 0};
  const bool pbc[3] = {true, true, true};
  const Structure structure{2, positions.data(), species.data(), cell.data(), pbc};
  const std::vector<double> prepared = prepare(structure, 1.0);
  std::vector<double> energies(1 + impl_->header.members), by_positions(6), by_cell(9);
  for (const bool members : {false, true})
    evaluate_whole(structure, prepared, {}, members, energies.data(), by_positions.data(), by_cell.data());
}

std::vector<double> Model::prepare(const Structure &s, double stretch) const
{
  torch::jit::GraphOptimizerEnabledGuard no_profiling(false);
  const auto method = impl_->module.find_method("prepare");
  if (!method) refuse(impl_->name, "of kind 'global' must have a method 'prepare'; export it again");
  at::Tensor prepared;
  try {
    prepared = (*method)({view(s.positions, {s.n_atoms, 3}).to(impl_->device), view(s.cell, {3, 3}).to(impl_->device),
                          view(s.pbc, {3}).to(impl_->device), stretch})
                   .toTensor()
                   .detach()
                   .to(at::kCPU)
                   .contiguous();
  } catch (const std::exception &exception) {
    refuse(impl_->name, "cannot be prepared: " + cause(exception));
  }
  if (prepared.dim() != 1 || prepared.scalar_type() != at::kDouble)
    refuse(impl_->name, "must prepare float64 numbers in a row; export it again");
  const double *const numbers = prepared.const_data_ptr<double>();
  return {numbers, numbers + prepared.numel()};
}

at::Tensor Model::Implementation::forward_whole(const at::Tensor &positions, const at::Tensor &cell, const Structure &s,
                                                const std::vector<double> &prepared, const Share &share, bool members) const
{
  at::Tensor output;
  try {
    output = module
                 .forward({positions, view(s.species, {s.n_atoms}).to(device), cell, view(s.pbc, {3}).to(device),
                           view(prepared.data(), {static_cast<int64_t>(prepared.size())}), share.index, share.count, members})
                 .toTensor();
  } catch (const std::exception &exception) {
    refuse(name, "failed: " + cause(exception));
  }
  if (output.dim() != 1 || output.size(0) != columns(members) || output.scalar_type() != at::kDouble)
    refuse(name, "must return float64 [" + std::to_string(columns(members)) + "]; export it again");
  if (share.count == 1 && !output.requires_grad())
    refuse(name, "must return an energy that depends on positions and cell; export it again");
  return output;
}

void Model::evaluate_whole(const Structure &s, const std::vector<double> &prepared, const Share &share, bool members,
                           double *energies, double *by_positions, double *by_cell) const
{
  torch::jit::GraphOptimizerEnabledGuard no_profiling(false);
  const at::Tensor positions = view(s.positions, {s.n_atoms, 3}).to(impl_->device).requires_grad_();
  const at::Tensor cell = view(s.cell, {3, 3}).to(impl_->device).requires_grad_();
  const at::Tensor output = impl_->forward_whole(positions, cell, s, prepared, share, members);
  const at::Tensor values = output.detach().to(at::kCPU).contiguous();
  std::copy_n(values.const_data_ptr<double>(), values.numel(), energies);
  std::fill_n(by_positions, 3 * s.n_atoms, 0.0);
  std::fill_n(by_cell, 9, 0.0);
  if (!output.requires_grad()) return;    // a share without work
  try {
    const auto slopes = torch::autograd::grad({output[0]}, {positions, cell}, {}, std::nullopt, false, /*allow_unused=*/true);
    for (const auto &[slope, target] : {std::pair(slopes[0], by_positions), std::pair(slopes[1], by_cell)}) {
      if (!slope.defined()) continue;
      const at::Tensor g = slope.to(at::kCPU).contiguous();
      std::copy_n(g.const_data_ptr<double>(), g.numel(), target);
    }
  } catch (const std::exception &exception) {
    refuse(impl_->name, "has no forces: " + cause(exception));
  }
}

void Model::evaluate_members(const Structure &s, const std::vector<double> &prepared, const Share &share,
                             double *by_positions) const
{
  torch::jit::GraphOptimizerEnabledGuard no_profiling(false);
  const auto method = impl_->module.find_method("member_gradients");
  if (!method) refuse(impl_->name, "has members without forces; train it again");
  const c10::Device device = impl_->device;
  at::Tensor slopes;
  try {
    slopes = (*method)({view(s.positions, {s.n_atoms, 3}).to(device), view(s.species, {s.n_atoms}).to(device),
                        view(s.cell, {3, 3}).to(device), view(s.pbc, {3}).to(device),
                        view(prepared.data(), {static_cast<int64_t>(prepared.size())}), share.index, share.count,
                        static_cast<int64_t>(force_members())})
                 .toTensor()
                 .detach()
                 .to(at::kCPU)
                 .contiguous();
  } catch (const std::exception &exception) {
    refuse(impl_->name, "failed: " + cause(exception));
  }
  if (slopes.numel() != 3 * s.n_atoms * force_members() || slopes.scalar_type() != at::kDouble)
    refuse(impl_->name, "must return float64 gradients of " + std::to_string(force_members()) + " members; export it again");
  std::copy_n(slopes.const_data_ptr<double>(), slopes.numel(), by_positions);
}

// ---- threads --------------------------------------------------------------------------------------------------------------

// Threads of our own, which sleep while they wait: those of OpenMP spin, and cost more than they bring where other programs
// share the cores. Operators inside them run on one thread each.
void Model::set_threads(int n)
{
  at::set_num_threads(1);
  const size_t others = n > 1 ? n - 1 : 0;
  if (helpers() && helpers()->size() == others) return;
  const auto alone = [] { at::set_num_threads(1); };
  helpers() = others > 0 ? std::make_unique<c10::ThreadPool>(static_cast<int>(others), -1, alone) : nullptr;
}

void Model::in_parallel(int n, const std::function<void(int)> &work)
{
  std::vector<std::exception_ptr> failures(n);
  const auto guarded = [&](int k) {
    try {
      work(k);
    } catch (...) {
      failures[k] = std::current_exception();
    }
  };
  for (int k = 1; k < n && helpers(); k++) helpers()->run([&guarded, k] { guarded(k); });
  for (int k = 0; k < (helpers() ? 1 : n); k++) guarded(k);
  if (n > 1 && helpers()) helpers()->waitWorkComplete();
  for (const std::exception_ptr &failure : failures)
    if (failure) std::rethrow_exception(failure);
}

}    // namespace rhopot
