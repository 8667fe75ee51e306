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

// Edges r_ij = x_j - x_i with |r_ij| < cutoff (strictly), formed in float64, of the centres of this rank. Rows are LAMMPS'
// local indices: owned atoms first, ghosts after them. Atoms without a species (NULL, other styles) are neither centres nor
// neighbours. Positions, types and the list are read anew at every pass and nothing is remembered between passes but the
// memory: `fix numdiff` moves atoms and `fix atom/swap` changes types without a new list or a new time step.
//
//   graph.start(...);
//   while (graph.next_batch()) model.evaluate(graph.batch(), ...);
class EdgeGraph {
 public:
  // A batch ends with the centre that brings it to this many edges: memory is bounded, the cost of a call does not show.
  static constexpr int64_t EDGES_PER_BATCH = 16384;

  // species_of_type[t]: species of LAMMPS type t, -1 for none.
  void start(const LAMMPS_NS::NeighList &list, const LAMMPS_NS::Atom &atom, const std::vector<int64_t> &species_of_type,
             double cutoff);

  // Fills the batch with the next centres; false when none are left.
  bool next_batch();

  EdgeBatch batch() const;
  double memory_usage() const;    // bytes

 private:
  void add_centre(int i);

  const LAMMPS_NS::NeighList *list_ = nullptr;
  double **positions_ = nullptr;
  double cutoff_sq_ = 0.0;
  int next_ = 0;    // position in ilist
  int64_t n_centres_ = 0, n_edges_ = 0, n_atoms_ = 0;

  std::vector<double> vectors_;
  std::vector<int64_t> first_edge_, neighbour_, centre_, species_;
};

}    // namespace rhopot

#endif
