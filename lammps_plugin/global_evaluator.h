// Models of kind `global`: the total energy of a structure. All ranks know all atoms, and share the work on the model.

#ifndef RHOPOT_GLOBAL_EVALUATOR_H
#define RHOPOT_GLOBAL_EVALUATOR_H

#include <string>
#include <vector>

#include "evaluator.h"
#include "exclusions.h"
#include "gathered_structure.h"

namespace rhopot {

// Share s of S = ranks x threads belongs to thread s % threads of rank s / threads. What the shares return is added up over
// all ranks; each then takes the forces on its own atoms, and the first rank energy and virial:
//
//   f_i = -dE/dr_i,    virial = -(sum_i r_i (x) dE/dr_i + sum_a a_a (x) dE/da_a),    a_a: box vectors
//
// The model is prepared by the first compute() of a run, for a box up to `stretch` times the one it sees, and again when the
// number of atoms changes. Energies are smooth only while that stays: a box that outgrows it is warned about, not followed.
class GlobalEvaluator : public Evaluator {
 public:
  GlobalEvaluator(LAMMPS_NS::LAMMPS *lmp, const Task &task) : Evaluator(lmp, task), exclusions_(lmp) {}

  void init() override;
  double cutoff() const override;
  void compute(const Request &request) override;
  double memory_usage() const override;

 private:
  // What one share, or all together, returns, in one row that MPI can add up: failures [1], energies [1+K], dE/d box vectors
  // [9], dE/d positions [3 N], and where deviations are asked for those of K' members [K' * 3 N], in eV and A.
  struct Sums {
    std::vector<double> numbers;
    int columns = 1;
    int64_t n_atoms = 0;

    void start(int64_t atoms, int n_columns, int n_members);
    void add(const Sums &other);
    double &failures() { return numbers[0]; }
    double *energies() { return &numbers[1]; }
    double *by_cell() { return energies() + columns; }
    double *by_positions() { return by_cell() + 9; }
    double *of_members() { return by_positions() + 3 * n_atoms; }
  };

  void refuse_strained_images() const;
  void refuse_atoms() const;
  void check_exclusions();
  void prepare();
  void warn_when_outgrown();
  std::string evaluate_shares(const Request &request);
  void add_up(const std::string &failure);
  void add_forces();
  void add_energies(bool members);
  void set_deviations();
  void add_virial();
  void stop_if_any(const std::string &failure) const;

  Exclusions exclusions_;
  GatheredStructure atoms_;
  std::vector<double> prepared_, prepared_extents_;
  int64_t prepared_atoms_ = -1;    // -1: not prepared in this run
  bool has_warned_ = false, has_warned_of_exclusions_ = false;    // in this run
  std::vector<Sums> sums_;    // of every thread; in the first one, of all
};

}    // namespace rhopot

#endif
