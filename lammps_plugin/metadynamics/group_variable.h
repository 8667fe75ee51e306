// A collective variable of the atoms of a LAMMPS group, over all ranks: its values, and the forces and virial of a bias on it.

#ifndef RHOPOT_METADYNAMICS_GROUP_VARIABLE_H
#define RHOPOT_METADYNAMICS_GROUP_VARIABLE_H

#include <cstdint>
#include <string>
#include <vector>

#include "../edge_graph.h"
#include "collective_variable.h"
#include "pointers.h"

namespace LAMMPS_NS {
class NeighList;
}

namespace rhopot {

class GroupVariable : protected LAMMPS_NS::Pointers {
 public:
  // elements: of the atom types, or NULL; groupbit: of the centers.
  GroupVariable(LAMMPS_NS::LAMMPS *lmp, const CvFile &file, const std::vector<std::string> &elements, int groupbit);

  const CvHeader &header() const { return variable_.header(); }
  bool reads_edges() const { return header().cutoff > 0.0; }

  // What makes the variable impossible in this run; nothing when it is possible. The same on all ranks.
  std::string obstacle() const;

  // Values, from the atoms as they are now; all ranks together. list: a full list that reaches the cutoff, null when no edges are
  // read. Throws std::runtime_error, the same on all ranks.
  const std::vector<double> &evaluate(const LAMMPS_NS::NeighList *list);
  int64_t n_centers() const { return n_centers_; }
  // Index in the given atoms of one whose nearest image to the atom before it is about to change; 0: none.
  size_t uncertain_image() const { return uncertain_image_; }

  // Adds -dV/dx to the forces (those on ghosts go to their owners with LAMMPS' reverse communication), and to virial[6], unless it
  // is null, this rank's part.
  void add_forces(const std::vector<double> &by_values, double *virial);

  double memory_usage() const;

 private:
  void update_rows();
  void evaluate_parts(const LAMMPS_NS::NeighList &list, std::vector<double> &sums);
  void collect_positions(double *positions, double *found) const;
  void make_whole(std::vector<double> &positions);
  bool follows(size_t given) const;
  bool is_half_a_box(const double *d) const;
  void add_part(size_t part, double *virial);
  void add_to_atoms(const std::vector<double> &by_positions, double *virial);

  CollectiveVariable variable_;
  std::vector<int64_t> species_of_type_;    // [types+1], -1: NULL
  int groupbit_;
  AtomRows rows_;
  std::vector<EdgeGraph> graphs_;    // of the parts of the centers
  std::vector<std::vector<double>> gradients_;
  std::vector<double> values_, positions_;
  int64_t n_centers_ = 0;
  size_t n_parts_ = 0, uncertain_image_ = 0;
};

}    // namespace rhopot

#endif
