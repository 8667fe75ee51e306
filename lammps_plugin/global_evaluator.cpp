#include "global_evaluator.h"

#include <algorithm>
#include <cmath>
#include <exception>

#include "agreement.h"
#include "atom.h"
#include "comm.h"
#include "compute.h"
#include "device_choice.h"
#include "domain.h"
#include "error.h"
#include "force.h"
#include "modify.h"
#include "pair.h"
#include "utils.h"

using namespace LAMMPS_NS;

namespace rhopot {
namespace {

// The model needs no ghost atoms and no neighbour list. LAMMPS wants a cutoff all the same: atoms may wander half the skin
// out of their subdomain before they move house, and computes that look at neighbours (rdf, coord/atom, cna/atom, ...) reach
// as far as the pair style. So: first neighbours of any solid, well below the edges of the cells that such models run on.
constexpr double CUTOFF = 5.0;

}    // namespace

void GlobalEvaluator::init()
{
  if (!atom->tag_enable)
    error->all(FLERR, "pair style rhopot needs atom IDs for a model of kind 'global'; remove 'atom_modify id no'");
  refuse_strained_images();
  prepared_atoms_ = -1;
  has_warned_ = has_warned_of_exclusions_ = false;
}

double GlobalEvaluator::cutoff() const
{
  return CUTOFF;
}

// They strain the atoms and their ghosts and leave the box as it is. This kind of model sees the box, and no ghosts.
void GlobalEvaluator::refuse_strained_images() const
{
  const bool fix = !modify->get_fix_by_style("^numdiff/virial").empty();
  if (fix || !modify->get_compute_by_style("^born/matrix").empty())
    error->all(FLERR,
               "pair style rhopot: {} strains atoms without the box, which a model of kind 'global' cannot follow; take the "
               "pressures of runs between which 'change_box ... remap' strains both",
               fix ? "fix numdiff/virial" : "compute born/matrix");
}

// ---- compute --------------------------------------------------------------------------------------------------------------

void GlobalEvaluator::compute(const Request &request)
{
  refuse_atoms();
  check_exclusions();
  atoms_.gather(*atom, *domain, exclusions_, task_.species_of_type, world);
  const std::string overlap = atoms_.overlap();
  if (!overlap.empty()) error->all(FLERR, "pair style rhopot: " + overlap);
  const int64_t n_atoms = atoms_.structure().n_atoms;
  if (request.members) member_totals_.assign(task_.model.header().members, 0.0);
  if (request.deviations) clear_deviations();
  if (n_atoms == 0) return;
  if (prepared_atoms_ != n_atoms) prepare();
  warn_when_outgrown();
  add_up(evaluate_shares(request));
  add_forces();
  if (request.deviations) set_deviations();
  if (comm->me != 0) return;
  add_energies(request.members);
  if (task_.pair.vflag_global) add_virial();
}

void GlobalEvaluator::refuse_atoms() const
{
  if (!task_.pair.eflag_atom && !task_.pair.vflag_atom && !task_.pair.cvflag_atom) return;
  std::string asking;
  for (const Compute *each : modify->get_compute_list())
    if (each->peatomflag || each->pressatomflag)
      asking += std::string(asking.empty() ? "" : ", ") + each->id + " (" + each->style + ")";
  error->all(FLERR,
             "pair style rhopot: energies and virials of atoms must be asked of a model of kind 'local', this one is of kind "
             "'global', which gives total energies only; remove the compute(s) {}",
             asking.empty() ? "that ask for them" : asking);
}

// Atoms can be taken out, pairs cannot. Beside another pair style, exclusions may be meant for that one.
void GlobalEvaluator::check_exclusions()
{
  exclusions_.update(task_.species_of_type);
  if (exclusions_.effect() == Exclusions::Effect::ATOMS) return;
  if (!utils::strmatch(force->pair_style, "^hybrid"))
    error->all(FLERR,
               "pair style rhopot: 'neigh_modify exclude' must take atoms out altogether ('group X all') for a model of kind "
               "'global', which sees all its atoms together, got {}; remove the exclusion",
               exclusions_.words());
  if (!has_warned_of_exclusions_ && comm->me == 0)
    error->warning(FLERR,
                   "pair style rhopot: a model of kind 'global' sees all its atoms; {} of 'neigh_modify exclude' is for "
                   "the other pair styles only",
                   exclusions_.words());
  has_warned_of_exclusions_ = true;
}

// By the first rank for all, so that rounding on different machines cannot make their choices differ.
void GlobalEvaluator::prepare()
{
  std::string failure;
  try {
    if (comm->me == 0) prepared_ = task_.model.prepare(atoms_.structure(), task_.stretch);
  } catch (const std::exception &reason) {
    failure = reason.what();
  }
  stop_if_any(failure);
  int size = static_cast<int>(prepared_.size());
  MPI_Bcast(&size, 1, MPI_INT, 0, world);
  prepared_.resize(size);
  MPI_Bcast(prepared_.data(), size, MPI_DOUBLE, 0, world);
  prepared_extents_ = atoms_.extents();
  prepared_atoms_ = atoms_.structure().n_atoms;
}

// Periodic edges may grow by the factor `stretch`. Along open axes the atoms may spread by as much of the model's reach: what
// was prepared keeps them that far from their images.
void GlobalEvaluator::warn_when_outgrown()
{
  if (has_warned_ || comm->me != 0) return;
  const Structure structure = atoms_.structure();
  const std::vector<double> extents = atoms_.extents();
  for (int a = 0; a < 3; a++) {
    const double before = prepared_extents_[a];
    const double more = (task_.stretch - 1.0) * (structure.pbc[a] ? before : task_.model.header().cutoff);
    if (extents[a] <= before + more + 1e-9) continue;
    has_warned_ = true;
    error->warning(
        FLERR,
        "pair style rhopot: the {} along {} has grown from {:.6g} to {:.6g} A, more than 'stretch {:g}' allows for; "
        "energies stay smooth and become less accurate: start another run, or give pair_style rhopot a larger stretch",
        structure.pbc[a] ? "box" : "region of the atoms", "xyz"[a], before, extents[a], task_.stretch);
    return;
  }
}

// This rank's shares, one per thread; returns why one of them failed, or nothing.
std::string GlobalEvaluator::evaluate_shares(const Request &request)
{
  const Structure structure = atoms_.structure();
  const int n_threads = is_gpu(task_.model.device()) ? 1 : std::max(comm->nthreads, 1);
  sums_.resize(n_threads);
  const int columns = request.members ? 1 + task_.model.header().members : 1;
  for (Sums &sums : sums_) sums.start(structure.n_atoms, columns, request.deviations ? task_.model.force_members() : 0);
  try {
    Model::in_parallel(n_threads, [&](int k) {
      Sums &s = sums_[k];
      const Share share{comm->me * n_threads + k, comm->nprocs * n_threads};
      const bool members = request.members;
      task_.model.evaluate_global(structure, prepared_, share, members, s.energies(), s.by_positions(), s.by_cell());
      if (request.deviations) task_.model.evaluate_members(structure, prepared_, share, s.of_members());
    });
  } catch (const std::exception &reason) {
    return reason.what();
  }
  return "";
}

// Over threads and ranks. Whether a rank failed travels with the numbers, so that all stop together.
void GlobalEvaluator::add_up(const std::string &failure)
{
  Sums &sums = sums_[0];
  for (size_t k = 1; k < sums_.size(); k++) sums.add(sums_[k]);
  sums.failures() = failure.empty() ? 0.0 : 1.0;
  MPI_Allreduce(MPI_IN_PLACE, sums.numbers.data(), static_cast<int>(sums.numbers.size()), MPI_DOUBLE, MPI_SUM, world);
  if (sums.failures() > 0.0) stop_if_any(failure);
  double sum = 0.0;    // not finite as soon as one number is not
  for (const double number : sums.numbers) sum += number;
  if (!std::isfinite(sum))
    error->all(FLERR,
               "pair style rhopot: energies and forces must be finite, got NaN or infinity; look for atoms in one place");
}

void GlobalEvaluator::add_forces()
{
  const double *const by_positions = sums_[0].by_positions();
  for (const GatheredStructure::Owned &owned : atoms_.owned())
    for (int a = 0; a < 3; a++) atom->f[owned.atom][a] -= task_.scale * by_positions[3 * owned.row + a];
}

void GlobalEvaluator::add_energies(bool members)
{
  const double *const energies = sums_[0].energies();
  if (task_.pair.eflag_global) task_.pair.eng_vdwl += task_.scale * energies[0];
  if (!members) return;
  for (size_t k = 0; k < member_totals_.size(); k++) member_totals_[k] = task_.scale * energies[1 + k];
}

void GlobalEvaluator::set_deviations()
{
  const int64_t n_atoms = atoms_.structure().n_atoms;
  const int n_members = task_.model.force_members();
  const double *const gradients = sums_[0].of_members();
  std::vector<double> forces(3 * n_members);
  for (const GatheredStructure::Owned &owned : atoms_.owned()) {
    for (int k = 0; k < n_members; k++)
      for (int a = 0; a < 3; a++) forces[3 * k + a] = -task_.scale * gradients[3 * (n_atoms * k + owned.row) + a];
    set_deviation(owned.atom, forces.data());
  }
}

// Symmetric up to rounding; LAMMPS keeps six components.
void GlobalEvaluator::add_virial()
{
  const Structure structure = atoms_.structure();
  double w[3][3] = {};
  const auto add = [&w](const double *vectors, const double *gradients, int64_t n) {
    for (int64_t k = 0; k < n; k++)
      for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) w[a][b] -= vectors[3 * k + a] * gradients[3 * k + b];
  };
  add(structure.positions, sums_[0].by_positions(), structure.n_atoms);
  add(structure.cell, sums_[0].by_cell(), 3);
  constexpr int A[6] = {0, 1, 2, 0, 0, 1}, B[6] = {0, 1, 2, 1, 2, 2};    // xx yy zz xy xz yz
  for (int k = 0; k < 6; k++) task_.pair.virial[k] += task_.scale * 0.5 * (w[A[k]][B[k]] + w[B[k]][A[k]]);
}

// All ranks together.
void GlobalEvaluator::stop_if_any(const std::string &failure) const
{
  const std::string first = first_failure(failure, world);
  if (!first.empty()) error->all(FLERR, "pair style rhopot: " + first);
}

// ---- sums -----------------------------------------------------------------------------------------------------------------

void GlobalEvaluator::Sums::start(int64_t atoms, int n_columns, int n_members)
{
  n_atoms = atoms;
  columns = n_columns;
  numbers.assign(1 + columns + 9 + 3 * n_atoms * (1 + n_members), 0.0);
}

void GlobalEvaluator::Sums::add(const Sums &other)
{
  for (size_t k = 0; k < numbers.size(); k++) numbers[k] += other.numbers[k];
}

double GlobalEvaluator::memory_usage() const
{
  double bytes = atoms_.memory_usage() + static_cast<double>(sizeof(double) * (deviations_.capacity() + radii_.capacity()));
  for (const Sums &sums : sums_) bytes += static_cast<double>(sizeof(double) * sums.numbers.capacity());
  return bytes;
}

}    // namespace rhopot
