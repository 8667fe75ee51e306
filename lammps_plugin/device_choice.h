// Which device a rank runs its model on, and what is said when that device fails.

#ifndef RHOPOT_DEVICE_CHOICE_H
#define RHOPOT_DEVICE_CHOICE_H

#include <string>

namespace rhopot {

// This process among those of its machine.
struct Seat {
  int rank = 0, count = 1;
};

// wish: auto, cpu or cuda. Returns cpu, cuda:0, cuda:1, ... With cuda the processes of a machine take its GPUs in turn; with
// auto a GPU where there is one for each of them, else the processor. Throws std::runtime_error for cuda without a GPU.
std::string choose_device(const std::string &wish, const Seat &seat, int n_gpus);

bool is_gpu(const std::string &device);

// Whether a model that `device` could not load or try out may be loaded on the processor instead, with a warning. Nothing of
// the kind exists for a run that has begun: a device that fails there ends the run.
bool may_use_processor_instead(const std::string &wish, const std::string &device);

// What torch said, with what to do about it where that is known: a GPU without memory.
std::string with_remedy(const std::string &cause, const std::string &device);

}    // namespace rhopot

#endif
