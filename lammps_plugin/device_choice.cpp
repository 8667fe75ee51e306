#include "device_choice.h"

#include <stdexcept>

namespace rhopot {

std::string choose_device(const std::string &wish, const Seat &seat, int n_gpus)
{
  if (wish == "cuda" && n_gpus == 0)
    throw std::runtime_error("device must be auto or cpu here, got cuda; this torch finds no CUDA device");
  if (wish == "cpu" || n_gpus == 0 || (wish == "auto" && n_gpus < seat.count)) return "cpu";
  return "cuda:" + std::to_string(seat.rank % n_gpus);
}

bool is_gpu(const std::string &device)
{
  return device != "cpu";
}

bool may_use_processor_instead(const std::string &wish, const std::string &device)
{
  return wish == "auto" && is_gpu(device);
}

std::string with_remedy(const std::string &cause, const std::string &device)
{
  if (!is_gpu(device) || cause.find("out of memory") == std::string::npos) return cause;
  return cause + (cause.ends_with('.') ? " Use" : "; use") + " more GPUs, free memory of " + device +
      ", or write 'pair_style rhopot device cpu'";
}

}    // namespace rhopot
