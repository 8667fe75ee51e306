#include "evaluator.h"

#include <cmath>

#include "global_evaluator.h"
#include "local_evaluator.h"

namespace rhopot {

std::unique_ptr<Evaluator> make_evaluator(LAMMPS_NS::LAMMPS *lmp, const Task &task)
{
  if (task.model.header().kind == "global") return std::make_unique<GlobalEvaluator>(lmp, task);
  return std::make_unique<LocalEvaluator>(lmp, task);
}

double standard_deviation(const double *values, int n)
{
  double mean = 0.0, square = 0.0;
  for (int k = 0; k < n; k++) mean += values[k] / n;
  for (int k = 0; k < n; k++) square += (values[k] - mean) * (values[k] - mean) / n;
  return std::sqrt(square);
}

}    // namespace rhopot
