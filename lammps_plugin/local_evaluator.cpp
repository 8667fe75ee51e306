#include "local_evaluator.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <stdexcept>
#include <thread>

#include "atom.h"
#include "comm.h"
#include "device_choice.h"
#include "error.h"
#include "force.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "pair.h"

using namespace LAMMPS_NS;

namespace rhopot {
namespace {

// Listed neighbours of a call, half of them within the cutoff. What a call costs beside its atoms no longer shows, and memory
// is bounded; a GPU needs more to be busy.
constexpr int64_t NEIGHBOURS_ON_CPU = 131072, NEIGHBOURS_ON_GPU = 524288;

// Multiplies the numbers by a factor. Returns a sum that is finite only if every one of them is; its parts do not wait for
// each other.
double scale(std::vector<double> &numbers, double factor)
{
  constexpr size_t PARTS = 8;
  double sum[PARTS] = {};
  size_t k = 0;
  for (; k + PARTS <= numbers.size(); k += PARTS)
    for (size_t part = 0; part < PARTS; part++) sum[part] += (numbers[k + part] *= factor);
  for (; k < numbers.size(); k++) sum[0] += (numbers[k] *= factor);
  return std::accumulate(sum, sum + PARTS, 0.0);
}

}    // namespace

// ---- init -----------------------------------------------------------------------------------------------------------------

void LocalEvaluator::init()
{
  if (!force->newton_pair)
    error->all(FLERR, "pair style rhopot needs newton on for pairs, got off; write 'newton on' before the box is created");
  check_special_bonds();
  neighbor->add_request(&task_.pair, NeighConst::REQ_FULL);
}

// Molecular systems by default drop bonded pairs from the neighbour list.
void LocalEvaluator::check_special_bonds() const
{
  if (atom->molecular == Atom::ATOMIC || force->kspace) return;
  for (int k = 1; k <= 3; k++)
    if (force->special_lj[k] == 0.0 && force->special_coul[k] == 0.0)
      error->all(FLERR,
                 "pair style rhopot needs bonded neighbours too, but special_bonds removes the 1-{} ones; "
                 "write 'special_bonds lj/coul 1 1 1'",
                 k + 1);
}

double LocalEvaluator::cutoff() const
{
  return task_.model.header().cutoff;
}

// ---- compute --------------------------------------------------------------------------------------------------------------

// Threads evaluate ranges of centres side by side; their results are added one after the other in the order of the list, so
// that the numbers do not depend on which thread was faster.
void LocalEvaluator::compute(const Request &request)
{
  const int columns = request.members ? 1 + task_.model.header().members : 1;
  start_members(request);
  if (request.grades) clear_grades();
  update_rows();
  start_workers();
  const int n_together = static_cast<int>(workers_.size());
  const std::vector<CentreRange> parts = ranges();
  for (int first = 0; first < static_cast<int>(parts.size()); first += n_together) {
    const int n = std::min(n_together, static_cast<int>(parts.size()) - first);
    try {
      Model::in_parallel(n, [&](int k) { evaluate(workers_[k], parts[first + k], request); });
    } catch (const std::exception &reason) {
      stop_here(reason.what());
    }
    for (int k = 0; k < n; k++) {
      add_forces(workers_[k]);
      if (task_.pair.eflag_either) add_energies(workers_[k], columns);
      if (task_.pair.vflag_either) add_virial(workers_[k]);
      if (request.members) add_members(workers_[k], columns);
      if (request.deviations) add_member_forces(workers_[k]);
      if (request.grades) add_grades(workers_[k]);
    }
  }
  if (request.deviations) finish_deviations();
}

int LocalEvaluator::n_workers() const
{
  return on_gpu() ? 1 : std::max(comm->nthreads, 1);
}

std::vector<CentreRange> LocalEvaluator::ranges() const
{
  return cut(*task_.pair.list, n_workers(), on_gpu() ? NEIGHBOURS_ON_GPU : NEIGHBOURS_ON_CPU);
}

bool LocalEvaluator::on_gpu() const
{
  return is_gpu(task_.model.device());
}

void LocalEvaluator::update_rows()
{
  exclusions_.update(task_.species_of_type);
  if (exclusions_.effect() == Exclusions::Effect::PAIRS)
    error->all(
        FLERR,
        "pair style rhopot: 'neigh_modify exclude' must take atoms out altogether ('group X all') or divide them into sets "
        "that do not interact, got {}, with which atoms keep some neighbours and lose others; the energy of an atom is that "
        "of all its neighbours together: remove the exclusion",
        exclusions_.words());
  const int n_atoms = atom->nlocal + atom->nghost;
  rows_.resize(n_atoms);
  for (int i = 0; i < n_atoms; i++) {
    const int64_t species = task_.species_of_type[atom->type[i]];
    rows_.set(i, species >= 0 && exclusions_.takes_out(i) ? -1 : species);
  }
}

void LocalEvaluator::start_workers()
{
  workers_.resize(n_workers());
  for (Worker &worker : workers_) worker.graph.start(*task_.pair.list, *atom, rows_, cutoff());
}

void LocalEvaluator::evaluate(Worker &worker, const CentreRange &range, const Request &request) const
{
  worker.graph.fill(range);
  const EdgeBatch batch = worker.graph.batch();
  const int columns = request.members ? 1 + task_.model.header().members : 1;
  worker.energies.resize(batch.n_centres * columns);
  worker.gradients.resize(3 * batch.n_edges);
  worker.member_gradients.resize(request.deviations ? 3 * batch.n_edges * task_.model.force_members() : 0);
  // A rank without atoms takes part in exchanges between layers all the same.
  if (batch.n_centres == 0 && task_.model.header().n_layers == 1) return;
  double none = 0.0;    // null means that members' gradients are not wanted: all ranks want them, with or without edges
  double *const of_members = !request.deviations ? nullptr : batch.n_edges > 0 ? worker.member_gradients.data() : &none;
  task_.model.evaluate(batch, request.members, worker.energies.data(), worker.gradients.data(), of_members);
  worker.grades.resize(request.grades ? batch.n_centres : 0);
  if (request.grades) task_.model.grade(batch, worker.grades.data());
  double sum = std::accumulate(worker.grades.begin(), worker.grades.end(), 0.0);
  for (std::vector<double> *numbers : {&worker.energies, &worker.gradients, &worker.member_gradients})
    sum += scale(*numbers, task_.scale);
  if (!std::isfinite(sum))
    throw std::runtime_error("energies and forces must be finite, got NaN or infinity; look for atoms in one place");
}

// An error of one rank. LAMMPS writes it to this rank's screen, and only the first rank has one. LAMMPS then aborts all ranks,
// and with them the launcher, which forwards what they wrote only while it runs: it is given a moment.
void LocalEvaluator::stop_here(const std::string &reason)
{
  const std::string text = "pair style rhopot: " + reason;
  if (comm->me != 0) std::fprintf(stderr, "ERROR on proc %d: %s\n", comm->me, text.c_str());
  try {
    error->one(FLERR, text);
  } catch (...) {
    if (comm->nprocs > 1) std::this_thread::sleep_for(std::chrono::milliseconds(300));
    throw;
  }
}

void LocalEvaluator::add_energies(const Worker &worker, int columns)
{
  Pair &pair = task_.pair;
  const EdgeBatch batch = worker.graph.batch();
  for (int64_t c = 0; c < batch.n_centres; c++) {
    const double energy = worker.energies[c * columns];
    if (pair.eflag_global) pair.eng_vdwl += energy;
    if (pair.eflag_atom) pair.eatom[batch.centre[c]] += energy;
  }
}

void LocalEvaluator::add_forces(const Worker &worker)
{
  const EdgeBatch batch = worker.graph.batch();
  if (batch.n_edges == 0) return;
  double *const f = atom->f[0];    // LAMMPS' rows of three follow each other
  const double *g = worker.gradients.data();
  for (int64_t c = 0; c < batch.n_centres; c++) {
    double own[3] = {0.0, 0.0, 0.0};
    for (int64_t e = batch.first_edge[c]; e < batch.first_edge[c + 1]; e++, g += 3) {
      double *const fj = f + 3 * batch.neighbour[e];
      for (int a = 0; a < 3; a++) {
        own[a] += g[a];
        fj[a] -= g[a];
      }
    }
    for (int a = 0; a < 3; a++) f[3 * batch.centre[c] + a] += own[a];
  }
}

// Component ab of an edge's virial is -r_a g_b. Global and centroid: as it is, the centroid's whole on the neighbour's row
// (the energy of the centre changes by g . v_j, and heat flows along r). Per atom: symmetric, half on each end.
void LocalEvaluator::add_virial(const Worker &worker)
{
  Pair &pair = task_.pair;
  const EdgeBatch batch = worker.graph.batch();
  constexpr int A[9] = {0, 1, 2, 0, 0, 1, 1, 2, 2}, B[9] = {0, 1, 2, 1, 2, 2, 0, 0, 1};    // xx yy zz xy xz yz yx zx zy
  for (int64_t c = 0; c < batch.n_centres; c++) {
    const int64_t i = batch.centre[c];
    for (int64_t e = batch.first_edge[c]; e < batch.first_edge[c + 1]; e++) {
      const int64_t j = batch.neighbour[e];
      const double *const r = batch.vectors + 3 * e;
      const double *const g = &worker.gradients[3 * e];
      for (int k = 0; k < 9; k++) {
        const double w = -r[A[k]] * g[B[k]];
        const int k6 = k < 6 ? k : k - 3;    // the transposed component
        const double share = k < 3 ? w : 0.5 * w;
        if (pair.vflag_global) pair.virial[k6] += share;
        if (pair.vflag_atom) {
          pair.vatom[i][k6] += 0.5 * share;
          pair.vatom[j][k6] += 0.5 * share;
        }
        if (pair.cvflag_atom) pair.cvatom[j][k] += w;
      }
    }
  }
}

// ---- members --------------------------------------------------------------------------------------------------------------

void LocalEvaluator::start_members(const Request &request)
{
  if (request.members) member_totals_.assign(task_.model.header().members, 0.0);
  if (!request.deviations) return;
  clear_deviations();
  member_forces_.assign(static_cast<size_t>(atom->nlocal + atom->nghost) * 3 * task_.model.force_members(), 0.0);
}

void LocalEvaluator::add_members(const Worker &worker, int columns)
{
  const EdgeBatch batch = worker.graph.batch();
  for (int64_t c = 0; c < batch.n_centres; c++)
    for (int k = 0; k < columns - 1; k++) member_totals_[k] += worker.energies[c * columns + 1 + k];
}

// As add_forces, for each member.
void LocalEvaluator::add_member_forces(const Worker &worker)
{
  const EdgeBatch batch = worker.graph.batch();
  const int64_t n_members = task_.model.force_members();
  for (int64_t k = 0; k < n_members; k++) {
    const double *g = worker.member_gradients.data() + 3 * batch.n_edges * k;
    for (int64_t c = 0; c < batch.n_centres; c++) {
      double *const fi = &member_forces_[3 * (n_members * batch.centre[c] + k)];
      for (int64_t e = batch.first_edge[c]; e < batch.first_edge[c + 1]; e++, g += 3) {
        double *const fj = &member_forces_[3 * (n_members * batch.neighbour[e] + k)];
        for (int a = 0; a < 3; a++) {
          fi[a] += g[a];
          fj[a] -= g[a];
        }
      }
    }
  }
}

void LocalEvaluator::add_grades(const Worker &worker)
{
  const EdgeBatch batch = worker.graph.batch();
  for (int64_t c = 0; c < batch.n_centres; c++) set_grade(batch.centre[c], worker.grades[c]);
}

// The forces of all ranks on an atom are summed, a few members at a time, before the deviation is formed. Every rank takes
// part, also without atoms.
void LocalEvaluator::finish_deviations()
{
  const int width = 3 * task_.model.force_members();
  for (chunk_ = 0; chunk_ < width; chunk_ += REVERSE_SIZE) comm->reverse_comm(&task_.pair);
  for (int i = 0; i < atom->nlocal; i++) set_deviation(i, &member_forces_[static_cast<size_t>(width) * i]);
}

// REVERSE_SIZE numbers for each atom, fewer of the last members.
int LocalEvaluator::pack_reverse(int n, int first, double *buffer)
{
  const int width = 3 * task_.model.force_members(), end = std::min(chunk_ + REVERSE_SIZE, width);
  double *out = buffer;
  for (int i = first; i < first + n; i++)
    for (int k = chunk_; k < end; k++) *out++ = member_forces_[static_cast<size_t>(width) * i + k];
  return static_cast<int>(out - buffer);
}

void LocalEvaluator::unpack_reverse(int n, const int *list, const double *buffer)
{
  const int width = 3 * task_.model.force_members(), end = std::min(chunk_ + REVERSE_SIZE, width);
  for (int m = 0; m < n; m++)
    for (int k = chunk_; k < end; k++) member_forces_[static_cast<size_t>(width) * list[m] + k] += *buffer++;
}

double LocalEvaluator::memory_usage() const
{
  double bytes = sizeof(double) * (deviations_.capacity() + radii_.capacity() + grades_.capacity() + supported_.capacity()) +
      sizeof(double) * member_forces_.capacity() + rows_.memory_usage();
  for (const Worker &worker : workers_)
    bytes += worker.graph.memory_usage() +
        sizeof(double) *
            (worker.energies.capacity() + worker.gradients.capacity() + worker.member_gradients.capacity() +
             worker.grades.capacity());
  return bytes;
}

}    // namespace rhopot
