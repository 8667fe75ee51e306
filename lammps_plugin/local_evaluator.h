// Models of kind `local`: energies of centres from their edges, every rank those of the atoms it owns.

#ifndef RHOPOT_LOCAL_EVALUATOR_H
#define RHOPOT_LOCAL_EVALUATOR_H

#include <string>
#include <vector>

#include "edge_graph.h"
#include "evaluator.h"
#include "exclusions.h"

namespace rhopot {

// With g = dE/d(edge vector): f_centre += g, f_neighbour -= g, virial -= r (x) g. A neighbour may be a ghost: LAMMPS sends
// the ghosts' forces home itself (newton on).
class LocalEvaluator : public Evaluator {
 public:
  LocalEvaluator(LAMMPS_NS::LAMMPS *lmp, const Task &task) : Evaluator(lmp, task), exclusions_(lmp) {}

  void init() override;
  double cutoff() const override;
  void compute(const Request &request) override;
  int pack_reverse(int n, int first, double *buffer) override;
  void unpack_reverse(int n, const int *list, const double *buffer) override;
  double memory_usage() const override;

 protected:
  // How many threads evaluate side by side, and the centres that go into each call of the model.
  virtual int n_workers() const;
  virtual std::vector<CentreRange> ranges() const;

 private:
  // What one thread works on: some centres and their results, in LAMMPS' units.
  struct Worker {
    EdgeGraph graph;
    std::vector<double> energies, gradients, member_gradients, grades;
  };

  void check_special_bonds() const;
  void update_rows();
  bool on_gpu() const;
  void start_workers();
  void start_members(const Request &request);
  void evaluate(Worker &worker, const CentreRange &range, const Request &request) const;
  [[noreturn]] void stop_here(const std::string &reason);
  void add_forces(const Worker &worker);
  void add_energies(const Worker &worker, int columns);
  void add_virial(const Worker &worker);
  void add_members(const Worker &worker, int columns);
  void add_member_forces(const Worker &worker);
  void add_grades(const Worker &worker);
  void finish_deviations();

  Exclusions exclusions_;
  AtomRows rows_;    // owned + ghosts
  std::vector<Worker> workers_;
  std::vector<double> member_forces_;    // [owned + ghosts, K', 3]
  int chunk_ = 0;                        // first of the numbers of each atom that ghosts are sending to their owners
};

}    // namespace rhopot

#endif
