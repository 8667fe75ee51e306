#include "gathered_structure.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "atom.h"
#include "domain.h"
#include "exclusions.h"
#include "same_place.h"

namespace rhopot {
void GatheredStructure::gather(const LAMMPS_NS::Atom &atom, const LAMMPS_NS::Domain &domain, const Exclusions &exclusions,
                               const std::vector<int64_t> &species_of_type, MPI_Comm world)
{
  read_box(domain);
  mine_.clear();
  owned_.clear();
  for (int i = 0; i < atom.nlocal; i++) {
    const int64_t species = species_of_type[atom.type[i]];
    if (species < 0 || exclusions.takes_out(i)) continue;
    const double *const x = atom.x[i];
    mine_.push_back({atom.tag[i], species, {x[0] - origin_[0], x[1] - origin_[1], x[2] - origin_[2]}});
    owned_.push_back({i, 0});
  }

  int n_ranks = 0, me = 0;
  MPI_Comm_size(world, &n_ranks);
  MPI_Comm_rank(world, &me);
  std::vector<int> bytes(n_ranks), start(n_ranks + 1, 0);
  const int my_bytes = static_cast<int>(mine_.size() * sizeof(Row));
  MPI_Allgather(&my_bytes, 1, MPI_INT, bytes.data(), 1, MPI_INT, world);
  std::partial_sum(bytes.begin(), bytes.end(), start.begin() + 1);
  rows_.resize(start[n_ranks] / sizeof(Row));
  MPI_Allgatherv(mine_.data(), my_bytes, MPI_BYTE, rows_.data(), bytes.data(), start.data(), MPI_BYTE, world);

  sort();
  std::vector<int64_t> place(order_.size());
  for (size_t row = 0; row < order_.size(); row++) place[order_[row]] = static_cast<int64_t>(row);
  const size_t first = start[me] / sizeof(Row);
  for (size_t k = 0; k < owned_.size(); k++) owned_[k].row = place[first + k];
}

// Rows of the cell are LAMMPS' box vectors. Along open axes they mean nothing, and neither does the box' corner. In two
// dimensions LAMMPS wants a periodic z axis and takes it for no direction at all: it makes no images along it.
void GatheredStructure::read_box(const LAMMPS_NS::Domain &domain)
{
  const bool tilted = domain.triclinic != 0;
  const double cell[9] = {
      domain.xprd, 0.0, 0.0, tilted ? domain.xy : 0.0, domain.yprd, 0.0, tilted ? domain.xz : 0.0, tilted ? domain.yz : 0.0,
      domain.zprd};
  std::copy_n(cell, 9, cell_);
  for (int a = 0; a < 3; a++) {
    pbc_[a] = domain.periodicity[a] != 0 && a < domain.dimension;
    origin_[a] = pbc_[a] ? domain.boxlo[a] : 0.0;
  }
}

void GatheredStructure::sort()
{
  order_.resize(rows_.size());
  std::iota(order_.begin(), order_.end(), 0);
  std::sort(order_.begin(), order_.end(), [this](int64_t a, int64_t b) { return rows_[a].id < rows_[b].id; });
  species_.clear();
  positions_.clear();
  for (const int64_t k : order_) {
    species_.push_back(rows_[k].species);
    positions_.insert(positions_.end(), rows_[k].x, rows_[k].x + 3);
  }
}

std::string GatheredStructure::overlap() const
{
  for (size_t i = 0; i < species_.size(); i++)
    for (size_t j = i + 1; j < species_.size(); j++)
      if (coincide(i, j)) return two_in_one_place(rows_[order_[i]].id, rows_[order_[j]].id);
  return "";
}

// Or one of them with an image of the other. The cell is lower triangular: its last vector alone reaches along z.
bool GatheredStructure::coincide(size_t i, size_t j) const
{
  double d[3], distance_sq = 0.0;
  for (int a = 0; a < 3; a++) d[a] = positions_[3 * j + a] - positions_[3 * i + a];
  for (int a = 2; a >= 0; a--) {
    const double images = pbc_[a] ? std::round(d[a] / cell_[3 * a + a]) : 0.0;
    for (int b = 0; b <= a; b++) d[b] -= images * cell_[3 * a + b];
    distance_sq += d[a] * d[a];
    if (distance_sq >= SAME_PLACE * SAME_PLACE) return false;
  }
  return true;
}

Structure GatheredStructure::structure() const
{
  return {static_cast<int64_t>(species_.size()), positions_.data(), species_.data(), cell_, pbc_};
}

std::vector<double> GatheredStructure::extents() const
{
  std::vector<double> lengths(3, 0.0);
  for (int a = 0; a < 3; a++) {
    const double *const edge = cell_ + 3 * a;
    if (pbc_[a]) {
      lengths[a] = std::hypot(edge[0], edge[1], edge[2]);
      continue;
    }
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < species_.size(); i++) {
      low = std::min(low, positions_[3 * i + a]);
      high = std::max(high, positions_[3 * i + a]);
    }
    lengths[a] = std::max(0.0, high - low);
  }
  return lengths;
}

double GatheredStructure::memory_usage() const
{
  return static_cast<double>(sizeof(Row) * (mine_.capacity() + rows_.capacity()) + sizeof(Owned) * owned_.capacity() +
                             sizeof(int64_t) * (order_.capacity() + species_.capacity()) +
                             sizeof(double) * positions_.capacity());
}

}    // namespace rhopot
