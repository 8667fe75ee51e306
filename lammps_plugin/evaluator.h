// What one time step asks of a model, whatever its kind. The pair style reads the input and speaks to fixes and computes;
// how atoms and ranks come to energies and forces is the evaluator's: local_evaluator.h, global_evaluator.h.

#ifndef RHOPOT_EVALUATOR_H
#define RHOPOT_EVALUATOR_H

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model.h"
#include "pointers.h"

namespace LAMMPS_NS {
class Pair;
}

namespace rhopot {

// A pair style and the model that it runs. They outlive the evaluator.
struct Task {
  LAMMPS_NS::Pair &pair;    // says what a step asks for, and receives energies and virials
  const Model &model;
  const std::vector<int64_t> &species_of_type;    // [types+1], -1: NULL
  double scale;                                   // eV in LAMMPS' energy unit
  double stretch;                                 // how much a box may grow (see global_evaluator.h)
};

// What a step asks for besides energies, forces and stress.
struct Request {
  bool members = false;       // energies of the members
  bool deviations = false;    // standard deviations of their forces, which takes a gradient for each member
  bool grades = false;        // extrapolation grades of the atoms' environments
};

class Evaluator : protected LAMMPS_NS::Pointers {
 public:
  Evaluator(LAMMPS_NS::LAMMPS *lmp, const Task &task) : Pointers(lmp), task_(task) {}

  // At the start of every run: checks, neighbour lists.
  virtual void init() = 0;

  // How far LAMMPS' ghost atoms must reach, in A.
  virtual double cutoff() const = 0;

  // Adds forces to the atoms, and what the pair style's flags ask for to its energies and virials, in LAMMPS' units. All
  // ranks call it together, also those without atoms.
  virtual void compute(const Request &request) = 0;

  // Exchanges inside a compute(), by Comm::forward_comm and reverse_comm of the pair style: numbers that owners send to the
  // ghosts of their atoms, and ghosts to their owners; at most FORWARD_SIZE and REVERSE_SIZE for each atom at a time (final
  // before a model is loaded: hybrid styles read them then), so wider rows go in parts. Nothing is sent by default.
  static constexpr int FORWARD_SIZE = 32, REVERSE_SIZE = 32;
  virtual int pack_forward(int n, const int *list, double *buffer);
  virtual void unpack_forward(int n, int first, const double *buffer);
  virtual int pack_reverse(int n, int first, double *buffer);
  virtual void unpack_reverse(int n, const int *list, const double *buffer);

  // Energies [K] of the members in LAMMPS' units after a compute() that asked for them; those of all ranks add up.
  const std::vector<double> &member_totals() const { return member_totals_; }

  // Standard deviations of the force on every atom (see `set_deviation`), the last ones or zeros, for at least atom->nmax
  // atoms; radii of the force errors on them, where the model's header has force_radii.
  double *atom_deviations();
  double *atom_radii();

  // Extrapolation grade of every atom the model handles, as above, where the model's header has them, and 1 where it is at
  // most 1 (0 where it is above). Atoms of other styles have grade 0.
  double *atom_grades();
  double *atom_supported();

  virtual double memory_usage() const = 0;    // bytes

 protected:
  void clear_deviations();

  // Of atom i from its members' forces [K'*3] in LAMMPS' units:
  //   sigma = factor sqrt( 1/(3 K') sum_k |F_k - <F>|^2 ),    radius = multiple sqrt( sigma^2 + floor^2 ),
  // sigma per Cartesian component and around the members' own mean: the same numbers as in Python (export/results.py).
  void set_deviation(int i, const double *forces);

  void clear_grades();
  void set_grade(int i, double grade);

  double *grown(std::vector<double> &of_atoms) const;    // to atom->nmax

  Task task_;
  std::vector<double> deviations_, radii_, grades_, supported_;    // [nmax]
  std::vector<double> member_totals_;
};

// Throws std::runtime_error with one sentence about model `name` when no evaluator runs models of this kind and depth.
void require_evaluator(const ModelHeader &header, const std::string &name);

// The evaluator for the model's kind.
std::unique_ptr<Evaluator> make_evaluator(LAMMPS_NS::LAMMPS *lmp, const Task &task);

// Around the members' own mean, over K (not K - 1): the same number as in Python.
double standard_deviation(const double *values, int n);

}    // namespace rhopot

#endif
