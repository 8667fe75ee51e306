// LAMMPS' full neighbour list as the edges a model reads, a bounded number at a time.

#ifndef RHOPOT_EDGE_GRAPH_H
#define RHOPOT_EDGE_GRAPH_H

#include <cstdint>
#include <vector>

#include "model.h"

namespace LAMMPS_NS {
class Atom;
class NeighList;
}    // namespace LAMMPS_NS

namespace rhopot {

// Positions [begin, end) in the list of centres.
struct CentreRange {
  int begin, end;
};

// All centres of a list in ranges of about equal numbers of listed neighbours, `limit` at most (or one centre): memory is
// bounded. Their number is a multiple of `parts`, so that as many threads end together.
std::vector<CentreRange> cut(const LAMMPS_NS::NeighList &list, int parts, int64_t limit);

// Species of all rows, owned atoms first, ghosts after them. Operators refuse a species that the model does not have, also in
// rows without an edge, so atoms that the model does not handle (NULL types, other styles) carry that of another element.
struct AtomRows {
  static constexpr unsigned char NEIGHBOUR = 1, CENTRE = 2;

  std::vector<int64_t> species;         // valid for the model, in every row
  std::vector<unsigned char> handled;   // what the atom may be, of NEIGHBOUR and CENTRE; 0: neither

  void resize(int n_atoms);
  void set(int row, int64_t species_or_none, bool is_centre = true);    // negative: not handled
  double memory_usage() const;    // bytes
};

// Edges r_ij = x_j - x_i with |r_ij| < cutoff (strictly), formed in float64, of some centres of this rank. Rows are LAMMPS'
// local indices. Positions, types and the list are read anew at every pass and nothing is remembered between passes but the
// memory: `fix numdiff` moves atoms and `fix atom/swap` changes types without a new list or a new time step.
class EdgeGraph {
 public:
  // Reads what `fill` needs; rows: owned + ghosts.
  void start(const LAMMPS_NS::NeighList &list, const LAMMPS_NS::Atom &atom, const AtomRows &rows, double cutoff);

  // The edges of the centres in a range, in the place of those before. Graphs of their own may be filled side by side.
  // Throws std::runtime_error for two atoms in one place, which have no edge vector.
  void fill(const CentreRange &range);

  EdgeBatch batch() const;
  double memory_usage() const;    // bytes

 private:
  void add_centre(int i);
  [[noreturn]] void refuse_shortest(int i) const;    // of the edges of the centre that was added last
  [[noreturn]] void refuse_pair(int i, int j) const;

  const LAMMPS_NS::Atom *atom_ = nullptr;
  const LAMMPS_NS::NeighList *list_ = nullptr;
  const double *positions_ = nullptr;
  const AtomRows *rows_ = nullptr;
  double cutoff_sq_ = 0.0;
  int64_t n_centres_ = 0, n_edges_ = 0, n_atoms_ = 0;

  std::vector<double> vectors_;
  std::vector<int64_t> first_edge_, neighbour_, centre_;
};

}    // namespace rhopot

#endif
