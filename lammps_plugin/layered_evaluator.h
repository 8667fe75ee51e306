// Models of kind `local` with more than one layer of messages: features of atoms go to ghosts between the layers.

#ifndef RHOPOT_LAYERED_EVALUATOR_H
#define RHOPOT_LAYERED_EVALUATOR_H

#include "ghost_exchange.h"
#include "local_evaluator.h"

namespace rhopot {

// As LocalEvaluator, but for this: all atoms of a rank go through a layer before the next one begins, on one thread, and the
// exchanges between layers (and, for gradients, back) stand inside the one call of the model. Ghosts reach one cutoff,
// whatever the number of layers.
class LayeredEvaluator : public LocalEvaluator {
 public:
  LayeredEvaluator(LAMMPS_NS::LAMMPS *lmp, const Task &task)
      : LocalEvaluator(lmp, task),
        exchange_(lmp, task.pair, FORWARD_SIZE, REVERSE_SIZE)
  {
  }

  void init() override;
  void compute(const Request &request) override;
  int pack_forward(int n, const int *list, double *buffer) override;
  void unpack_forward(int n, int first, const double *buffer) override;
  int pack_reverse(int n, int first, double *buffer) override;
  void unpack_reverse(int n, const int *list, const double *buffer) override;

 private:
  int n_workers() const override { return 1; }
  std::vector<CentreRange> ranges() const override;
  void print_volume();

  GhostExchange exchange_;
  bool has_printed_ = false;    // since the start of the run
};

}    // namespace rhopot

#endif
