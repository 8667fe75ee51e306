#include "edge_graph.h"

#include "atom.h"
#include "neigh_list.h"

namespace rhopot {
namespace {

template <typename T> void at_least(std::vector<T> &buffer, int64_t size)
{
  if (static_cast<int64_t>(buffer.size()) < size) buffer.resize(size + size / 4);
}

template <typename T> double bytes(const std::vector<T> &buffer)
{
  return static_cast<double>(buffer.capacity() * sizeof(T));
}

}    // namespace

void EdgeGraph::start(const LAMMPS_NS::NeighList &list, const LAMMPS_NS::Atom &atom,
                      const std::vector<int64_t> &species_of_type, double cutoff)
{
  list_ = &list;
  positions_ = atom.x;
  cutoff_sq_ = cutoff * cutoff;
  next_ = 0;
  n_atoms_ = atom.nlocal + atom.nghost;
  at_least(species_, n_atoms_);
  for (int64_t i = 0; i < n_atoms_; i++) species_[i] = species_of_type[atom.type[i]];
}

bool EdgeGraph::next_batch()
{
  n_centres_ = n_edges_ = 0;
  for (; next_ < list_->inum && n_edges_ < EDGES_PER_BATCH && n_centres_ < EDGES_PER_BATCH; next_++) {
    const int i = list_->ilist[next_];
    if (species_[i] >= 0) add_centre(i);
  }
  at_least(first_edge_, n_centres_ + 1);
  first_edge_[n_centres_] = n_edges_;
  return n_centres_ > 0;
}

void EdgeGraph::add_centre(int i)
{
  const int n = list_->numneigh[i];
  const int *const neighbours = list_->firstneigh[i];
  at_least(vectors_, 3 * (n_edges_ + n));
  at_least(neighbour_, n_edges_ + n);
  at_least(centre_, n_centres_ + 1);
  at_least(first_edge_, n_centres_ + 1);
  centre_[n_centres_] = i;
  first_edge_[n_centres_++] = n_edges_;

  const double *const xi = positions_[i];
  for (int k = 0; k < n; k++) {
    const int j = neighbours[k] & NEIGHMASK;
    const double *const xj = positions_[j];
    const double dx = xj[0] - xi[0], dy = xj[1] - xi[1], dz = xj[2] - xi[2];
    if (dx * dx + dy * dy + dz * dz >= cutoff_sq_ || species_[j] < 0) continue;
    double *const r = vectors_.data() + 3 * n_edges_;
    r[0] = dx;
    r[1] = dy;
    r[2] = dz;
    neighbour_[n_edges_++] = j;
  }
}

EdgeBatch EdgeGraph::batch() const
{
  return {n_centres_,         n_edges_,       n_atoms_,       vectors_.data(), first_edge_.data(),
          neighbour_.data(), centre_.data(), species_.data()};
}

double EdgeGraph::memory_usage() const
{
  return bytes(vectors_) + bytes(first_edge_) + bytes(neighbour_) + bytes(centre_) + bytes(species_);
}

}    // namespace rhopot
