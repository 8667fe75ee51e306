#include "bias.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <utility>

namespace rhopot {
namespace {

constexpr int MOST_VARIABLES = 3;

// The value and the derivative of exp(-d^2 / (2 sigma^2)).
struct Factor {
  double value = 0.0, derivative = 0.0;
};

Factor gaussian(double d, double sigma)
{
  const double value = std::exp(-0.5 * (d / sigma) * (d / sigma));
  return {value, -d / (sigma * sigma) * value};
}

// Where a value lies: the interval to the left of which its node is, and the weights (and their derivatives) of what the two
// nodes hold: [node][value or derivative].
struct Place {
  int left = 0, right = 0;
  double weights[2][2] = {}, derivatives[2][2] = {};
};

int n_nodes(const GridAxis &axis, double period)
{
  return period > 0.0 ? axis.intervals : axis.intervals + 1;
}

Place place_of(double value, const GridAxis &axis, double period)
{
  const double h = axis.spacing();
  double x = (value - axis.low) / h;
  if (period > 0.0) x -= axis.intervals * std::floor(x / axis.intervals);
  const int left = std::clamp(static_cast<int>(std::floor(x)), 0, axis.intervals - 1);
  const double t = x - left;
  Place place;
  place.left = left;
  place.right = period > 0.0 ? (left + 1) % axis.intervals : left + 1;
  place.weights[0][0] = (1.0 + 2.0 * t) * (1.0 - t) * (1.0 - t);
  place.weights[0][1] = h * t * (1.0 - t) * (1.0 - t);
  place.weights[1][0] = t * t * (3.0 - 2.0 * t);
  place.weights[1][1] = h * t * t * (t - 1.0);
  place.derivatives[0][0] = 6.0 * t * (t - 1.0) / h;
  place.derivatives[0][1] = (1.0 - t) * (1.0 - 3.0 * t);
  place.derivatives[1][0] = -place.derivatives[0][0];
  place.derivatives[1][1] = t * (3.0 * t - 2.0);
  return place;
}

}    // namespace

double difference(double a, double b, double period)
{
  const double d = a - b;
  return period > 0.0 ? d - period * std::round(d / period) : d;
}

// ---- hills ----------------------------------------------------------------------------------------------------------------

HillSum::HillSum(Values periods, std::vector<GridAxis> axes) : periods_(std::move(periods)), axes_(std::move(axes))
{
  if (axes_.empty()) return;
  size_t size = size_t{1} << axes_.size();
  for (size_t k = 0; k < axes_.size(); k++) size *= n_nodes(axes_[k], periods_[k]);
  nodes_.assign(size, 0.0);
}

void HillSum::add(const Hill &hill)
{
  hills_.push_back(hill);
  if (has_grid()) add_to_grid(hill);
}

void HillSum::remove_walker(int walker)
{
  std::erase_if(hills_, [walker](const Hill &hill) { return hill.walker == walker; });
  std::fill(nodes_.begin(), nodes_.end(), 0.0);
  if (has_grid())
    for (const Hill &hill : hills_) add_to_grid(hill);
}

double HillSum::operator()(const Values &values, Values &by_values) const
{
  return has_grid() ? interpolated(values, by_values) : sum_of_terms(values, by_values);
}

double HillSum::operator()(const Values &values) const
{
  Values unused(values.size(), 0.0);
  return (*this)(values, unused);
}

double HillSum::sum_of_terms(const Values &values, Values &by_values) const
{
  const size_t n = values.size();
  double sum = 0.0;
  for (const Hill &hill : hills_) {
    std::array<double, MOST_VARIABLES> d{};
    double exponent = 0.0;
    for (size_t k = 0; k < n; k++) {
      d[k] = difference(values[k], hill.center[k], periods_[k]) / hill.sigma[k];
      exponent += d[k] * d[k];
    }
    const double term = hill.height * std::exp(-0.5 * exponent);
    sum += term;
    for (size_t k = 0; k < n; k++) by_values[k] -= term * d[k] / hill.sigma[k];
  }
  return sum;
}

// A hill is a product, and so are its mixed derivatives.
void HillSum::add_to_grid(const Hill &hill)
{
  const int n = static_cast<int>(axes_.size());
  std::array<std::vector<Factor>, MOST_VARIABLES> factors;
  for (int k = 0; k < n; k++)
    for (int i = 0; i < n_nodes(axes_[k], periods_[k]); i++)
      factors[k].push_back(
          gaussian(difference(axes_[k].low + i * axes_[k].spacing(), hill.center[k], periods_[k]), hill.sigma[k]));
  for (int k = n; k < MOST_VARIABLES; k++) factors[k] = {{1.0, 0.0}};
  double *node = nodes_.data();
  for (const Factor &a : factors[0])
    for (const Factor &b : factors[1])
      for (const Factor &c : factors[2])
        for (int bits = 0; bits < 1 << n; bits++)
          *node++ += hill.height * (bits & 1 ? a.derivative : a.value) * (bits & 2 ? b.derivative : b.value) *
              (bits & 4 ? c.derivative : c.value);
}

double HillSum::interpolated(const Values &values, Values &by_values) const
{
  const int n = static_cast<int>(axes_.size());
  std::array<Place, MOST_VARIABLES> places;
  std::array<int, MOST_VARIABLES> counts{1, 1, 1};
  for (int k = 0; k < n; k++) {
    const bool outside = !(values[k] >= axes_[k].low && values[k] <= axes_[k].high);
    if (periods_[k] == 0.0 && outside)
      throw std::out_of_range("must stay on the grid from " + std::to_string(axes_[k].low) + " to " +
                              std::to_string(axes_[k].high) + ", got " + std::to_string(values[k]) +
                              "; widen the grid or set a wall");
    places[k] = place_of(values[k], axes_[k], periods_[k]);
    counts[k] = n_nodes(axes_[k], periods_[k]);
  }
  double sum = 0.0;
  for (int corner = 0; corner < 1 << n; corner++) {
    size_t index = 0;
    for (int k = 0; k < MOST_VARIABLES; k++)
      index = index * counts[k] + (k < n ? (corner >> k & 1 ? places[k].right : places[k].left) : 0);
    const double *const node = &nodes_[index << n];
    for (int bits = 0; bits < 1 << n; bits++) {
      const auto weight = [&](int k) { return places[k].weights[corner >> k & 1][bits >> k & 1]; };
      double product = node[bits];
      for (int k = 0; k < n; k++) product *= weight(k);
      sum += product;
      for (int by = 0; by < n; by++) {
        double derivative = node[bits];
        for (int k = 0; k < n; k++) derivative *= k == by ? places[k].derivatives[corner >> k & 1][bits >> k & 1] : weight(k);
        by_values[by] += derivative;
      }
    }
  }
  return sum;
}

double HillSum::memory_usage() const
{
  const size_t of_hills = hills_.size() * (sizeof(Hill) + 2 * periods_.size() * sizeof(double));
  return static_cast<double>(of_hills + nodes_.capacity() * sizeof(double));
}

// ---- walls and restraints -------------------------------------------------------------------------------------------------

double MovingRestraint::at(int64_t step) const
{
  if (last <= first) return step < first ? from : to;
  const double part = static_cast<double>(step - first) / static_cast<double>(last - first);
  return from + (to - from) * std::clamp(part, 0.0, 1.0);
}

double wall_energy(const std::vector<Wall> &walls, const Values &values, const Values &periods, Values &by_values)
{
  double sum = 0.0;
  for (const Wall &wall : walls) {
    const double d = difference(values[wall.variable], wall.at, periods[wall.variable]);
    if (wall.is_upper ? d <= 0.0 : d >= 0.0) continue;
    sum += wall.kappa * d * d;
    by_values[wall.variable] += 2.0 * wall.kappa * d;
  }
  return sum;
}

double moving_energy(const std::vector<MovingRestraint> &restraints, int64_t step, const Values &values, const Values &periods,
                     Values &by_values)
{
  double sum = 0.0;
  for (const MovingRestraint &restraint : restraints) {
    const double d = difference(values[restraint.variable], restraint.at(step), periods[restraint.variable]);
    sum += 0.5 * restraint.kappa * d * d;
    by_values[restraint.variable] += restraint.kappa * d;
  }
  return sum;
}

}    // namespace rhopot
