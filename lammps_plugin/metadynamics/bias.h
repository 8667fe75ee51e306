// The bias of a metadynamics run, in the energy unit of the run: a function of one to three collective variables s.
//
//   hills      V(s) = sum_h W_h prod_k exp(-(s_k - c_hk)^2 / (2 sigma_hk^2)), none of them truncated
//   walls      kappa (s - at)^2 beyond `at`
//   restraint  kappa/2 (s - at(n))^2 about a point that moves linearly with the step n
//
// Differences of a periodic variable are those to the nearest image. Neither LAMMPS nor torch is named here.

#ifndef RHOPOT_METADYNAMICS_BIAS_H
#define RHOPOT_METADYNAMICS_BIAS_H

#include <cstdint>
#include <string>
#include <vector>

namespace rhopot {

using Values = std::vector<double>;    // one number for each collective variable

// period 0: the variable has none.
double difference(double a, double b, double period);

struct Hill {
  double time = 0.0;     // ps
  int walker = 0;        // who made it
  double height = 0.0;
  Values center, sigma;
};

// Nodes of a grid along one variable, low and high included; of a periodic variable high is the image of low.
struct GridAxis {
  double low = 0.0, high = 0.0;
  int intervals = 0;

  double spacing() const { return (high - low) / intervals; }
};

// The sum of hills, term by term or on a grid. On the grid nodes hold the sum and its mixed first derivatives, and values between
// them are cubic Hermite polynomials in each variable: continuous in value and gradient, off by at most
// 3/384 (spacing/sigma)^4 W of a hill in one variable.
class HillSum {
 public:
  explicit HillSum(Values periods, std::vector<GridAxis> axes = {});    // axes: none, or one for each variable

  void add(const Hill &hill);
  void remove_walker(int walker);    // all hills of a walker
  const std::vector<Hill> &hills() const { return hills_; }

  // The sum; adds its gradient to by_values. Throws std::out_of_range with one sentence beyond the ends of the grid.
  double operator()(const Values &values, Values &by_values) const;
  double operator()(const Values &values) const;

  bool has_grid() const { return !axes_.empty(); }
  double memory_usage() const;

 private:
  double sum_of_terms(const Values &values, Values &by_values) const;
  double interpolated(const Values &values, Values &by_values) const;
  void add_to_grid(const Hill &hill);

  Values periods_;
  std::vector<GridAxis> axes_;
  std::vector<Hill> hills_;
  std::vector<double> nodes_;    // [nodes of axis 0][of axis 1][of axis 2][2^n: bit k set: derivative by variable k]
};

struct Wall {
  int variable = 0;
  bool is_upper = true;
  double at = 0.0, kappa = 0.0;
};

struct MovingRestraint {
  int variable = 0;
  double from = 0.0, to = 0.0, kappa = 0.0;
  int64_t first = 0, last = 0;    // steps between which the point moves

  double at(int64_t step) const;
};

// What a step's bias consists of.
struct BiasEnergies {
  double hills = 0.0, walls = 0.0, moving = 0.0;

  double total() const { return hills + walls + moving; }
};

// kappa (s - at)^2 of the walls that s is beyond, kappa/2 (s - at)^2 of the restraints; gradients are added to by_values.
double wall_energy(const std::vector<Wall> &walls, const Values &values, const Values &periods, Values &by_values);
double moving_energy(const std::vector<MovingRestraint> &restraints, int64_t step, const Values &values, const Values &periods,
                     Values &by_values);

}    // namespace rhopot

#endif
