#include "group_variable.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "../agreement.h"
#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "fmt/format.h"
#include "force.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "pair.h"

using namespace LAMMPS_NS;

namespace rhopot {
namespace {

constexpr int64_t NEIGHBORS_OF_PART = 131072;    // as local_evaluator.cpp

void add_outer(const double *r, const double *f, double *virial)
{
  constexpr int A[6] = {0, 1, 2, 0, 0, 1}, B[6] = {0, 1, 2, 1, 2, 2};    // xx yy zz xy xz yz
  for (int k = 0; k < 6; k++) virial[k] += 0.5 * (r[A[k]] * f[B[k]] + r[B[k]] * f[A[k]]);
}

}    // namespace

GroupVariable::GroupVariable(LAMMPS *lmp, const CvFile &file, const std::vector<std::string> &elements, int groupbit)
    : Pointers(lmp),
      variable_(file),
      groupbit_(groupbit)
{
  species_of_type_.assign(atom->ntypes + 1, -1);
  const std::vector<std::string> &symbols = header().symbols;
  for (size_t type = 1; type <= elements.size(); type++) {
    const auto found = std::find(symbols.begin(), symbols.end(), elements[type - 1]);
    if (found != symbols.end()) species_of_type_[type] = found - symbols.begin();
  }
}

std::string GroupVariable::obstacle() const
{
  if (!force->newton_pair) return "needs newton on for pairs, got off; write 'newton on' before the box is created";
  if (!header().atoms.empty() && !atom->tag_enable)
    return "needs atom IDs for a variable of given atoms; remove 'atom_modify id no'";
  if (!reads_edges()) return "";
  if (!force->pair) return "needs a pair style for a variable of neighbors";
  if (neighbor->nex_type + neighbor->nex_group + neighbor->nex_mol > 0)
    return "needs all neighbors of an atom, but 'neigh_modify exclude' removes some; remove the exclusion";
  if (neighbor->includegroup > 0)
    return "needs all neighbors of an atom, but 'neigh_modify include' leaves some out; remove it";
  if (atom->molecular != Atom::ATOMIC)
    for (int k = 1; k <= 3; k++)
      if (force->special_lj[k] == 0.0 && force->special_coul[k] == 0.0)
        return fmt::format(
            "needs bonded neighbors too, but special_bonds removes the 1-{} ones; write 'special_bonds lj/coul 1 1 1'", k + 1);
  // The neighbor list that fixes get reaches as far as the pair style's cutoff for the two types.
  for (int i = 1; i <= atom->ntypes; i++)
    for (int j = 1; j <= atom->ntypes; j++) {
      if (species_of_type_[i] < 0 || species_of_type_[j] < 0) continue;
      const double reach = std::sqrt(force->pair->cutsq[i][j]);
      if (reach < header().cutoff - 1e-9)
        return fmt::format(
            "needs a pair style with at least the cutoff of the collective variable, {:g} A, got {:g} A between types "
            "{} and {}; take a shorter variable, or add a style: 'pair_style hybrid/overlay ... zero {:g}'",
            header().cutoff, reach, i, j, header().cutoff);
    }
  return "";
}

// ---- values ---------------------------------------------------------------------------------------------------------------

void GroupVariable::update_rows()
{
  const int n_atoms = atom->nlocal + atom->nghost;
  rows_.resize(n_atoms);
  for (int i = 0; i < n_atoms; i++) rows_.set(i, species_of_type_[atom->type[i]], atom->mask[i] & groupbit_);
}

const std::vector<double> &GroupVariable::evaluate(const NeighList *list)
{
  const size_t n_sums = header().n_sums, n_given = header().atoms.size();
  // Sums of contributions, positions of given atoms, how often each was found, number of centers.
  std::vector<double> mine(n_sums + 4 * n_given + 1, 0.0), all(mine.size());
  n_parts_ = 0;
  std::string failure;
  try {
    if (list) evaluate_parts(*list, mine);
  } catch (const std::exception &reason) {
    failure = reason.what();
  }
  collect_positions(mine.data() + n_sums, mine.data() + n_sums + 3 * n_given);
  // Rank 0 adds up and all get its sum: the same number everywhere, to the last bit. A failure is a sum that is not a number.
  if (!failure.empty()) mine.back() = std::nan("");
  MPI_Reduce(mine.data(), all.data(), static_cast<int>(mine.size()), MPI_DOUBLE, MPI_SUM, 0, world);
  MPI_Bcast(all.data(), static_cast<int>(all.size()), MPI_DOUBLE, 0, world);
  if (std::isnan(all.back())) throw std::runtime_error(first_failure(failure, world));
  n_centers_ = static_cast<int64_t>(all.back());
  for (size_t a = 0; a < n_given; a++)
    if (all[n_sums + 3 * n_given + a] != 1.0)
      throw std::runtime_error(fmt::format("atoms of the variable must exist, got no atom with ID {}", header().atoms[a]));
  positions_.assign(all.begin() + n_sums, all.begin() + n_sums + 3 * n_given);
  make_whole(positions_);
  all.resize(n_sums);
  values_ = variable_.finish(all, positions_);
  for (size_t k = 0; k < values_.size(); k++)
    values_[k] = header().periods[k] > 0.0 ? values_[k] - header().periods[k] * std::round(values_[k] / header().periods[k])
                                           : values_[k];
  return values_;
}

// Threads evaluate parts of the centers side by side; their sums are added in the order of the list.
void GroupVariable::evaluate_parts(const NeighList &list, std::vector<double> &sums)
{
  update_rows();
  const std::vector<CentreRange> ranges = cut(list, std::max(comm->nthreads, 1), NEIGHBORS_OF_PART);
  n_parts_ = ranges.size();
  if (graphs_.size() < n_parts_) {
    graphs_.resize(n_parts_);
    gradients_.resize(n_parts_);
  }
  variable_.start(static_cast<int>(n_parts_));
  const size_t n_sums = header().n_sums;
  std::vector<std::vector<double>> of_parts(n_parts_, std::vector<double>(n_sums, 0.0));
  Model::in_parallel(static_cast<int>(n_parts_), [&](int k) {
    graphs_[k].start(list, *atom, rows_, header().cutoff);
    graphs_[k].fill(ranges[k]);
    variable_.add(k, graphs_[k].batch(), of_parts[k].data());
  });
  for (size_t part = 0; part < n_parts_; part++) {
    for (size_t m = 0; m < n_sums; m++) sums[m] += of_parts[part][m];
    sums.back() += static_cast<double>(graphs_[part].batch().n_centres);
  }
}

void GroupVariable::collect_positions(double *positions, double *found) const
{
  const std::vector<int64_t> &ids = header().atoms;
  if (ids.empty()) return;
  const auto [least, most] = std::minmax_element(ids.begin(), ids.end());
  for (int i = 0; i < atom->nlocal; i++) {
    if (atom->tag[i] < *least || atom->tag[i] > *most) continue;
    for (size_t a = 0; a < ids.size(); a++)
      if (ids[a] == atom->tag[i]) {
        std::copy_n(atom->x[i], 3, positions + 3 * a);
        found[a] += 1.0;
      }
  }
}

// Each the image nearest to the one before. LAMMPS folds along one box vector after the other, which finds an image near to the
// nearest one in a tilted box: the shortest of those around it is taken.
void GroupVariable::make_whole(std::vector<double> &positions)
{
  uncertain_image_ = 0;
  constexpr int SHIFTS = 2;
  const double *const h = domain->h;    // xx yy zz yz xz xy
  const double box[3][3] = {{h[0], 0.0, 0.0}, {h[5], h[1], 0.0}, {h[4], h[3], h[2]}};
  const bool tilted = domain->triclinic;
  const auto reach = [&](int axis) { return tilted && domain->periodicity[axis] ? SHIFTS : 0; };
  for (size_t a = 3; a < positions.size(); a += 3) {
    double d[3], best[3], least = HUGE_VAL;
    for (int k = 0; k < 3; k++) d[k] = positions[a + k] - positions[a - 3 + k];
    domain->minimum_image(FLERR, d);
    for (int i = -reach(0); i <= reach(0); i++)
      for (int j = -reach(1); j <= reach(1); j++)
        for (int l = -reach(2); l <= reach(2); l++) {
          double image[3], square = 0.0;
          for (int k = 0; k < 3; k++) {
            image[k] = d[k] + i * box[0][k] + j * box[1][k] + l * box[2][k];
            square += image[k] * image[k];
          }
          if (square >= least) continue;
          least = square;
          std::copy_n(image, 3, best);
        }
    for (int k = 0; k < 3; k++) positions[a + k] = positions[a - 3 + k] + best[k];
    if (!uncertain_image_ && follows(a / 3) && is_half_a_box(best)) uncertain_image_ = a / 3;
  }
}

// Whether a given atom follows another one in a list of three or more: such a variable jumps where another image becomes the
// nearest one; the distance of two has a kink there.
bool GroupVariable::follows(size_t given) const
{
  size_t first = 0;
  for (const size_t size : header().lists) {
    if (given < first + size) return given > first && size > 2;
    first += size;
  }
  return false;
}

bool GroupVariable::is_half_a_box(const double *d) const
{
  constexpr double NEARLY = 0.48;
  const double *const h = domain->h_inv;    // xx yy zz yz xz xy
  const double parts[3] = {h[0] * d[0] + h[5] * d[1] + h[4] * d[2], h[1] * d[1] + h[3] * d[2], h[2] * d[2]};
  return std::any_of(parts, parts + 3,
                     [&](const double &part) { return domain->periodicity[&part - parts] && std::abs(part) > NEARLY; });
}

// ---- forces ---------------------------------------------------------------------------------------------------------------

void GroupVariable::add_forces(const std::vector<double> &by_values, double *virial)
{
  const std::vector<double> by_positions = variable_.pull_back(by_values);
  Model::in_parallel(static_cast<int>(n_parts_), [&](int k) {
    gradients_[k].resize(3 * graphs_[k].batch().n_edges);
    variable_.gradients(k, gradients_[k].data());
  });
  for (size_t part = 0; part < n_parts_; part++) add_part(part, virial);
  add_to_atoms(by_positions, virial);
}

void GroupVariable::add_part(size_t part, double *virial)
{
  const EdgeBatch batch = graphs_[part].batch();
  double **const f = atom->f;
  const double *g = gradients_[part].data();
  for (int64_t c = 0; c < batch.n_centres; c++)
    for (int64_t e = batch.first_edge[c]; e < batch.first_edge[c + 1]; e++, g += 3) {
      const double force[3] = {-g[0], -g[1], -g[2]};    // on the neighbor
      for (int a = 0; a < 3; a++) {
        f[batch.centre[c]][a] -= force[a];
        f[batch.neighbour[e]][a] += force[a];
      }
      if (virial) add_outer(batch.vectors + 3 * e, force, virial);
    }
}

void GroupVariable::add_to_atoms(const std::vector<double> &by_positions, double *virial)
{
  const std::vector<int64_t> &ids = header().atoms;
  if (ids.empty()) return;
  for (int i = 0; i < atom->nlocal; i++)
    for (size_t a = 0; a < ids.size(); a++) {
      if (ids[a] != atom->tag[i]) continue;
      const double force[3] = {-by_positions[3 * a], -by_positions[3 * a + 1], -by_positions[3 * a + 2]};
      for (int k = 0; k < 3; k++) atom->f[i][k] += force[k];
      if (virial) add_outer(&positions_[3 * a], force, virial);
    }
}

double GroupVariable::memory_usage() const
{
  double bytes = rows_.memory_usage();
  for (const EdgeGraph &graph : graphs_) bytes += graph.memory_usage();
  for (const std::vector<double> &each : gradients_) bytes += static_cast<double>(each.capacity() * sizeof(double));
  return bytes;
}

}    // namespace rhopot
