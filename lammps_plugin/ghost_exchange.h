// Features of atoms on their way to the ghosts of these atoms, and gradients on their way back, in LAMMPS' communication.

#ifndef RHOPOT_GHOST_EXCHANGE_H
#define RHOPOT_GHOST_EXCHANGE_H

#include <cstdint>

#include "models/kernels/exchange.hpp"
#include "pointers.h"

namespace LAMMPS_NS {
class Pair;
}    // namespace LAMMPS_NS

namespace rhopot {

// Rows travel in parts of some doubles for each atom, `forward_size` at most to ghosts and `reverse_size` to owners; two float
// features fit into one double. All ranks exchange together, also those without atoms.
class GhostExchange : public FeatureExchange, protected LAMMPS_NS::Pointers {
 public:
  GhostExchange(LAMMPS_NS::LAMMPS *lmp, LAMMPS_NS::Pair &pair, int forward_size, int reverse_size)
      : Pointers(lmp),
        pair_(pair),
        forward_size_(forward_size),
        reverse_size_(reverse_size)
  {
  }

  void to_ghosts(const FeatureRows &rows) override;
  void to_owners(const FeatureRows &rows) override;

  // Whether one of the two is being done: what the pair style packs and unpacks is then these rows.
  bool is_active() const { return active_; }
  int pack_forward(int n, const int *list, double *buffer) const;
  void unpack_forward(int n, int first, const double *buffer) const;
  int pack_reverse(int n, int first, double *buffer) const;
  void unpack_reverse(int n, const int *list, const double *buffer) const;

  // How often `to_ghosts` was called since `forget`, and bytes that it sent for each ghost.
  void forget() { times_ = bytes_ = 0; }
  int64_t times() const { return times_; }
  int64_t bytes() const { return bytes_; }

 private:
  template <typename Send> void in_parts(const FeatureRows &rows, int size, const Send &send);
  int part_doubles() const { return static_cast<int>((part_bytes_ + sizeof(double) - 1) / sizeof(double)); }
  char *part_of(int atom) const { return static_cast<char *>(rows_.numbers) + atom * row_bytes_ + first_byte_; }
  template <typename T> void add(int n, const int *list, const double *buffer) const;

  LAMMPS_NS::Pair &pair_;
  int forward_size_, reverse_size_;
  FeatureRows rows_{};
  bool active_ = false;
  int64_t row_bytes_ = 0, first_byte_ = 0, part_bytes_ = 0;    // of a row, and of the part of it that is on its way
  int64_t times_ = 0, bytes_ = 0;
};

}    // namespace rhopot

#endif
