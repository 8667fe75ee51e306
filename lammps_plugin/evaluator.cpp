#include "evaluator.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "atom.h"
#include "global_evaluator.h"
#include "layered_evaluator.h"
#include "local_evaluator.h"

namespace rhopot {
namespace {

std::unique_ptr<Evaluator> make_local(LAMMPS_NS::LAMMPS *lmp, const Task &task)
{
  if (task.model.header().n_layers > 1) return std::make_unique<LayeredEvaluator>(lmp, task);
  return std::make_unique<LocalEvaluator>(lmp, task);
}

std::unique_ptr<Evaluator> make_global(LAMMPS_NS::LAMMPS *lmp, const Task &task)
{
  return std::make_unique<GlobalEvaluator>(lmp, task);
}

// Every kind of model, and the message layers that its evaluator can run.
struct Kind {
  const char *name;
  int most_layers;
  std::unique_ptr<Evaluator> (*make)(LAMMPS_NS::LAMMPS *lmp, const Task &task);
};
constexpr Kind KINDS[] = {{"local", 8, make_local}, {"global", 8, make_global}};

const Kind &kind_of(const ModelHeader &header)
{
  for (const Kind &kind : KINDS)
    if (header.kind == kind.name) return kind;
  throw std::runtime_error("kind of a model must be local or global, got " + header.kind);
}

}    // namespace

void require_evaluator(const ModelHeader &header, const std::string &name)
{
  const int most = kind_of(header).most_layers;
  if (header.n_layers > most)
    throw std::runtime_error("n_layers of model '" + name + "' must be " + (most > 1 ? "at most " : "") + std::to_string(most) +
                             ", got " + std::to_string(header.n_layers) +
                             "; this rhopot does not run models with more layers of messages");
}

std::unique_ptr<Evaluator> make_evaluator(LAMMPS_NS::LAMMPS *lmp, const Task &task)
{
  return kind_of(task.model.header()).make(lmp, task);
}

int Evaluator::pack_forward(int, const int *, double *)
{
  return 0;
}

void Evaluator::unpack_forward(int, int, const double *) {}

int Evaluator::pack_reverse(int, int, double *)
{
  return 0;
}

void Evaluator::unpack_reverse(int, const int *, const double *) {}

double *Evaluator::grown(std::vector<double> &of_atoms) const
{
  const size_t n = std::max(atom->nmax, 1);    // a pointer to something also on ranks that never had an atom
  if (of_atoms.size() < n) of_atoms.resize(n, 0.0);
  return of_atoms.data();
}

double *Evaluator::atom_deviations()
{
  return grown(deviations_);
}

double *Evaluator::atom_radii()
{
  return grown(radii_);
}

double *Evaluator::atom_grades()
{
  return grown(grades_);
}

double *Evaluator::atom_supported()
{
  return grown(supported_);
}

void Evaluator::clear_grades()
{
  grown(grades_);
  grown(supported_);
  std::fill(grades_.begin(), grades_.end(), 0.0);
  std::fill(supported_.begin(), supported_.end(), 1.0);
}

void Evaluator::set_grade(int i, double grade)
{
  grades_[i] = grade;
  supported_[i] = grade <= 1.0 ? 1.0 : 0.0;
}

void Evaluator::clear_deviations()
{
  for (std::vector<double> *of_atoms : {&deviations_, &radii_}) {
    grown(*of_atoms);
    std::fill(of_atoms->begin(), of_atoms->end(), 0.0);
  }
}

void Evaluator::set_deviation(int i, const double *forces)
{
  const int n = task_.model.force_members();
  double variance = 0.0;
  for (int a = 0; a < 3; a++) {
    double mean = 0.0;
    for (int k = 0; k < n; k++) mean += forces[3 * k + a] / n;
    for (int k = 0; k < n; k++) variance += (forces[3 * k + a] - mean) * (forces[3 * k + a] - mean) / (3.0 * n);
  }
  const int64_t species = task_.species_of_type[atom->type[i]];
  if (species < 0) return;    // zeros, of `clear_deviations`
  const ModelHeader &header = task_.model.header();
  deviations_[i] = header.force_factors[species] * std::sqrt(variance);
  if (header.force_radii.empty()) return;
  const ForceRadius &radius = header.force_radii[species];
  radii_[i] = radius.multiple * std::hypot(deviations_[i], task_.scale * radius.floor);
}

double standard_deviation(const double *values, int n)
{
  double mean = 0.0, square = 0.0;
  for (int k = 0; k < n; k++) mean += values[k] / n;
  for (int k = 0; k < n; k++) square += (values[k] - mean) * (values[k] - mean) / n;
  return std::sqrt(square);
}

}    // namespace rhopot
