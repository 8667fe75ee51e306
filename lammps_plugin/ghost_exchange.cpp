#include "ghost_exchange.h"

#include <algorithm>
#include <cstring>

#include "atom.h"
#include "comm.h"
#include "pair.h"

namespace rhopot {

// Rows of all ranks are equally wide, so that every rank sends as many parts, also one without rows.
template <typename Send> void GhostExchange::in_parts(const FeatureRows &rows, int size, const Send &send)
{
  const int64_t most = size * static_cast<int64_t>(sizeof(double));
  rows_ = rows;
  row_bytes_ = rows.width * static_cast<int64_t>(rows.is_float ? sizeof(float) : sizeof(double));
  active_ = true;
  for (first_byte_ = 0; first_byte_ < row_bytes_; first_byte_ += most) {
    part_bytes_ = std::min(most, row_bytes_ - first_byte_);
    send();
  }
  active_ = false;
}

void GhostExchange::to_ghosts(const FeatureRows &rows)
{
  in_parts(rows, forward_size_, [this] { comm->forward_comm(&pair_); });
  times_++;
  bytes_ += row_bytes_;
}

// A ghost may hand on what ghosts of another swap gave it: they are emptied when everything has arrived.
void GhostExchange::to_owners(const FeatureRows &rows)
{
  in_parts(rows, reverse_size_, [this] { comm->reverse_comm(&pair_); });
  const int64_t n_ghosts = rows.n_rows - atom->nlocal;
  if (n_ghosts > 0) std::memset(static_cast<char *>(rows.numbers) + atom->nlocal * row_bytes_, 0, n_ghosts * row_bytes_);
}

int GhostExchange::pack_forward(int n, const int *list, double *buffer) const
{
  const int step = part_doubles();
  for (int m = 0; m < n; m++) std::memcpy(buffer + m * step, part_of(list[m]), part_bytes_);
  return n * step;
}

void GhostExchange::unpack_forward(int n, int first, const double *buffer) const
{
  const int step = part_doubles();
  for (int m = 0; m < n; m++) std::memcpy(part_of(first + m), buffer + m * step, part_bytes_);
}

int GhostExchange::pack_reverse(int n, int first, double *buffer) const
{
  const int step = part_doubles();
  for (int m = 0; m < n; m++) std::memcpy(buffer + m * step, part_of(first + m), part_bytes_);
  return n * step;
}

void GhostExchange::unpack_reverse(int n, const int *list, const double *buffer) const
{
  if (rows_.is_float)
    add<float>(n, list, buffer);
  else
    add<double>(n, list, buffer);
}

template <typename T> void GhostExchange::add(int n, const int *list, const double *buffer) const
{
  const int step = part_doubles();
  const int64_t count = part_bytes_ / static_cast<int64_t>(sizeof(T));
  for (int m = 0; m < n; m++) {
    const char *const from = reinterpret_cast<const char *>(buffer + m * step);
    T *const to = reinterpret_cast<T *>(part_of(list[m]));
    for (int64_t k = 0; k < count; k++) {
      T number;
      std::memcpy(&number, from + k * sizeof(T), sizeof(T));
      to[k] += number;
    }
  }
}

}    // namespace rhopot
