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

// Edges r_ij = x_j - x_i with |r_ij| < cutoff (strictly), formed in float64, of some centres of this rank. Rows are LAMMPS'
// local indices: owned atoms first, ghosts after them. Atoms without a species (NULL, other styles) are neither centres nor
// neighbours. Positions, types and the list are read anew at every pass and nothing is remembered between passes but the
// memory: `fix numdiff` moves atoms and `fix atom/swap` changes types without a new list or a new time step.
class EdgeGraph {
 public:
  // Reads what `fill` needs; species [owned + ghosts]: of every atom, -1 for none.
  void start(const LAMMPS_NS::NeighList &list, const LAMMPS_NS::Atom &atom, const std::vector<int64_t> &species,
             double cutoff);

  // The edges of the centres in a range, in the place of those before. Graphs of their own may be filled side by side.
  void fill(const CentreRange &range);

  EdgeBatch batch() const;
  double memory_usage() const;    // bytes

 private:
  void add_centre(int i);

  const LAMMPS_NS::NeighList *list_ = nullptr;
  double **positions_ = nullptr;
  const int64_t *species_ = nullptr;
  double cutoff_sq_ = 0.0;
  int64_t n_centres_ = 0, n_edges_ = 0, n_atoms_ = 0;

  std::vector<double> vectors_;
  std::vector<int64_t> first_edge_, neighbour_, centre_;
};

}    // namespace rhopot

#endif
