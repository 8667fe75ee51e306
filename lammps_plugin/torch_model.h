// What the files torch_*.cpp share: the module behind a Model, and how its tensors and exceptions are read.

#ifndef RHOPOT_TORCH_MODEL_H
#define RHOPOT_TORCH_MODEL_H

#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <exception>
#include <string>
#include <vector>

#include "model.h"

namespace rhopot {

struct Model::Implementation {
  std::string name;
  ModelHeader header;
  c10::Device device;
  mutable torch::jit::Module module;

  // columns: energies [C, 1+K]. apart: of each member alone [C], where the module gives them; column k is then
  // columns[0] + calibration (apart[k-1] - columns[0]).
  struct Energies {
    at::Tensor columns;
    std::vector<at::Tensor> apart;
    double calibration = 1.0;

    std::vector<at::Tensor> gradients(const at::Tensor &vectors, int n_members) const;
  };

  std::vector<c10::IValue> arguments(const at::Tensor &vectors, const EdgeBatch &batch) const;
  Energies forward(const at::Tensor &vectors, const EdgeBatch &batch, bool members) const;
  Energies members_apart(const at::Tensor &vectors, const EdgeBatch &batch) const;
  void check(const Energies &energies, const EdgeBatch &batch, bool members) const;
  at::Tensor forward_global(const at::Tensor &positions, const at::Tensor &cell, const Structure &s,
                            const std::vector<double> &prepared, const Share &share, bool members) const;
  torch::jit::Method method(const char *method_name, const std::string &absent) const;

  int64_t n_columns(bool members) const { return members ? 1 + header.members : 1; }

  // Our numbers as a tensor on the model's device; where that is the processor they are not copied and must outlive it.
  template <typename T> at::Tensor tensor(const T *data, at::IntArrayRef shape) const
  {
    return at::from_blob(const_cast<T *>(data), shape, c10::CppTypeToScalarType<T>::value).to(device);
  }

  // Throws std::runtime_error: "model 'NAME' REASON".
  [[noreturn]] void refuse(const std::string &reason) const;

  // Runs `work`, which calls torch. What it throws becomes "model 'NAME' WHAT: the cause in torch's words".
  template <typename Work> auto call(const char *what, const Work &work) const -> decltype(work())
  {
    try {
      return work();
    } catch (const std::exception &exception) {
      refuse(what + (": " + cause(exception)));
    }
  }

  // `cause_of`, and what to do about it where that is known.
  std::string cause(const std::exception &exception) const;
};

// Local to the thread. Without it the executor re-specialises for new shapes, and pauses.
struct NoProfiling {
  torch::jit::GraphOptimizerEnabledGuard guard{false};
};

// The line of an exception of torch that says what happened (not where in torch or in the model's code).
std::string cause_of(const std::exception &exception);

// Throws std::runtime_error when this rhopot lacks operators that a file calls.
void require_operators(const std::vector<std::string> &operators, const std::string &file, const std::string &written_by);

// Detached, on the processor, its numbers in a row.
at::Tensor on_processor(const at::Tensor &tensor);

// The numbers of a float64 tensor on any device into target[numel].
void copy_numbers(const at::Tensor &tensor, double *target);

}    // namespace rhopot

#endif
