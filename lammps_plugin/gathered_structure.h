// The atoms of all ranks as the one structure that a model of kind `global` reads.

#ifndef RHOPOT_GATHERED_STRUCTURE_H
#define RHOPOT_GATHERED_STRUCTURE_H

#include <mpi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "model.h"

namespace LAMMPS_NS {
class Atom;
class Domain;
}    // namespace LAMMPS_NS

namespace rhopot {

class Exclusions;

// Atoms that the model handles (no NULL types, none that 'neigh_modify exclude group X all' takes out), in the order of their
// IDs: every rank holds the same numbers, whatever the decomposition. Nothing is remembered between passes.
//
// Positions count from the lower corner of the box along periodic axes: a box that grows about its centre, or drifts, then
// leaves the atoms where they are on the model's grid. They are wrapped or not, as LAMMPS has them: the energy is the same,
// and so is the virial -(sum r (x) dE/dr + sum a (x) dE/da) as long as dE/da (at fixed r) belongs to these very r, since a
// strain carries r and r + a to the same place.
class GatheredStructure {
 public:
  // An atom of this rank: its local index, and its row in the structure.
  struct Owned {
    int atom;
    int64_t row;
  };

  // All ranks together; species_of_type [types+1], -1: NULL.
  void gather(const LAMMPS_NS::Atom &atom, const LAMMPS_NS::Domain &domain, const Exclusions &exclusions,
              const std::vector<int64_t> &species_of_type, MPI_Comm world);

  // A sentence when two atoms are in one place, else nothing; the same on every rank. O(N^2), nothing beside a model's own cost.
  std::string overlap() const;

  Structure structure() const;
  const std::vector<Owned> &owned() const { return owned_; }

  // Lengths (A) of the box along periodic axes, of the region that atoms take along others.
  std::vector<double> extents() const;
  double memory_usage() const;    // bytes

 private:
  // What ranks tell each other of an atom.
  struct Row {
    int64_t id, species;
    double x[3];
  };

  void read_box(const LAMMPS_NS::Domain &domain);
  void sort();
  bool coincide(size_t i, size_t j) const;

  std::vector<Row> mine_, rows_;
  std::vector<Owned> owned_;
  std::vector<int64_t> order_, species_;
  std::vector<double> positions_;
  double origin_[3] = {}, cell_[9] = {};
  bool pbc_[3] = {};
};

}    // namespace rhopot

#endif
