// Loads the TorchScript module of a model file onto a device.

#include "torch_model.h"

#include <ATen/Context.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/jit/serialization/import.h>

#include <dlfcn.h>
#include <malloc.h>

#include <algorithm>
#include <limits>
#include <sstream>
#include <stdexcept>

#include "device_choice.h"

namespace rhopot {
namespace {

torch::jit::Module load(const std::string &bytes, c10::Device device)
{
  std::istringstream stream(bytes);
  torch::jit::Module module = torch::jit::load(stream, device);
  module.eval();
  for (at::Tensor parameter : module.parameters()) parameter.requires_grad_(false);
  return module;
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

void require_operators(const std::vector<std::string> &operators, const std::string &file, const std::string &written_by)
{
  std::string unknown;
  for (const std::string &op : operators)
    if (!c10::Dispatcher::singleton().findSchema({op, ""})) unknown += (unknown.empty() ? "" : ", ") + op;
  if (!unknown.empty())
    throw std::runtime_error("operators of '" + file + "' must be among those of this rhopot, got " + unknown +
                             "; install rhopot " + written_by + ", which wrote it");
}

// ---- what the implementation says and reads -------------------------------------------------------------------------------

void Model::Implementation::refuse(const std::string &reason) const
{
  throw std::runtime_error("model '" + name + "' " + reason);
}

std::string Model::Implementation::cause(const std::exception &exception) const
{
  return with_remedy(cause_of(exception), device.str());
}

std::string cause_of(const std::exception &exception)
{
  const auto *torch_error = dynamic_cast<const c10::Error *>(&exception);
  std::istringstream text(torch_error ? torch_error->what_without_backtrace() : exception.what());
  std::string line, first, named;
  while (std::getline(text, line)) {
    if (first.empty()) first = line;
    const std::string kind = line.substr(0, line.find(": "));
    if (kind.size() == line.size() || kind.find(' ') != std::string::npos) continue;
    if (kind.ends_with("Error") || kind.ends_with("Exception")) named = line;
  }
  const std::string refusal = "builtins.ValueError: ";    // a sentence of the model's own
  if (named.starts_with(refusal)) named.erase(0, refusal.size());
  first = first.substr(0, first.find(" This could be because the operator"));    // a page of backends
  return named.empty() ? first : named;
}

torch::jit::Method Model::Implementation::method(const char *method_name, const std::string &absent) const
{
  const auto found = module.find_method(method_name);
  if (!found) refuse(absent);
  return *found;
}

at::Tensor on_processor(const at::Tensor &tensor)
{
  return tensor.detach().to(at::kCPU).contiguous();
}

void copy_numbers(const at::Tensor &tensor, double *target)
{
  const at::Tensor numbers = on_processor(tensor);
  std::copy_n(numbers.const_data_ptr<double>(), numbers.numel(), target);
}

// ---- model ----------------------------------------------------------------------------------------------------------------

// torch's CUDA side is opened where there is a driver: it takes seconds and half a gigabyte, and not every torch has it.
int Model::count_gpus()
{
  static const bool opened = dlopen("libcuda.so.1", RTLD_LAZY) && dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL);
  return opened && at::hasCUDA() ? static_cast<int>(at::getNumGPUs()) : 0;
}

Model::Model(const ModelFile &file, const std::string &device)
    : impl_(new Implementation{file.name, file.header, c10::Device(device), {}})
{
  require_operators(file.header.operators, file.name, file.header.written_by);
  keep_freed_memory();
  try {
    impl_->module = load(file.bytes, impl_->device);
  } catch (const std::exception &exception) {
    impl_->refuse("cannot be loaded: " + impl_->cause(exception) +
                  (is_gpu(device) ? "" : "; it may come from a newer rhopot or torch, or be damaged"));
  }
  try_out();
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
  if (impl_->header.kind == "global")
    try_out_global();
  else
    try_out_edges();
}

}    // namespace rhopot
