// The threads that evaluate a model.

#include <ATen/Parallel.h>
#include <c10/core/thread_pool.h>

#include <exception>
#include <memory>
#include <vector>

#include "model.h"

namespace rhopot {
namespace {

std::unique_ptr<c10::ThreadPool> &helpers()
{
  static std::unique_ptr<c10::ThreadPool> pool;
  return pool;
}

}    // namespace

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
