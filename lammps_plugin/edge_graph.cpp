#include "edge_graph.h"

#include <algorithm>
#include <stdexcept>

#include "atom.h"
#include "neigh_list.h"
#include "same_place.h"

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

int64_t divided_up(int64_t a, int64_t b)
{
  return (a + b - 1) / b;
}

}    // namespace

std::vector<CentreRange> cut(const LAMMPS_NS::NeighList &list, int parts, int64_t limit)
{
  int64_t total = 0;
  for (int k = 0; k < list.inum; k++) total += list.numneigh[list.ilist[k]] + 1;
  const int64_t rounds = std::max<int64_t>(1, divided_up(total, limit * parts));
  const int64_t equal = divided_up(total, rounds * parts);
  std::vector<CentreRange> ranges;
  int64_t count = 0;
  for (int k = 0, begin = 0; k < list.inum; k++) {
    count += list.numneigh[list.ilist[k]] + 1;
    if (count < equal && k + 1 < list.inum) continue;
    ranges.push_back({begin, k + 1});
    begin = k + 1;
    count = 0;
  }
  return ranges;
}

void AtomRows::resize(int n_atoms)
{
  species.resize(n_atoms);
  handled.resize(n_atoms);
}

void AtomRows::set(int row, int64_t species_or_none, bool is_centre)
{
  species[row] = std::max<int64_t>(species_or_none, 0);
  handled[row] = species_or_none < 0 ? 0 : is_centre ? NEIGHBOUR | CENTRE : NEIGHBOUR;
}

double AtomRows::memory_usage() const
{
  return bytes(species) + bytes(handled);
}

void EdgeGraph::start(const LAMMPS_NS::NeighList &list, const LAMMPS_NS::Atom &atom, const AtomRows &rows, double cutoff)
{
  atom_ = &atom;
  list_ = &list;
  positions_ = atom.x ? atom.x[0] : nullptr;    // LAMMPS' rows of three follow each other
  rows_ = &rows;
  cutoff_sq_ = cutoff * cutoff;
  n_atoms_ = atom.nlocal + atom.nghost;
}

void EdgeGraph::fill(const CentreRange &range)
{
  n_centres_ = n_edges_ = 0;
  for (int k = range.begin; k < range.end; k++) {
    const int i = list_->ilist[k];
    if (rows_->handled[i] & AtomRows::CENTRE) add_centre(i);
  }
  at_least(first_edge_, n_centres_ + 1);
  first_edge_[n_centres_] = n_edges_;
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

  const unsigned char *const handled = rows_->handled.data();
  const double *const xi = positions_ + 3 * static_cast<int64_t>(i);
  double *r = vectors_.data() + 3 * n_edges_, shortest_sq = cutoff_sq_;
  int64_t *neighbour = neighbour_.data() + n_edges_;
  // Without a branch, which would be mispredicted: every edge is written, and the next one takes its place if it is not kept.
  for (int k = 0; k < n; k++) {
    const int j = neighbours[k] & NEIGHMASK;
    const double *const xj = positions_ + 3 * static_cast<int64_t>(j);
    r[0] = xj[0] - xi[0];
    r[1] = xj[1] - xi[1];
    r[2] = xj[2] - xi[2];
    *neighbour = j;
    const double distance_sq = r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
    const int kept =
        (!(distance_sq >= cutoff_sq_)) & handled[j];    // NEIGHBOUR is 1; also what is not a number, for the model to refuse
    shortest_sq = std::min(shortest_sq, kept ? distance_sq : cutoff_sq_);
    r += 3 * kept;
    neighbour += kept;
  }
  n_edges_ = neighbour - neighbour_.data();
  if (shortest_sq < SAME_PLACE * SAME_PLACE) refuse_shortest(i);
}

void EdgeGraph::refuse_shortest(int i) const
{
  int64_t nearest = first_edge_[n_centres_ - 1];
  const auto distance_sq = [this](int64_t e) {
    const double *const r = &vectors_[3 * e];
    return r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
  };
  for (int64_t e = nearest; e < n_edges_; e++)
    if (distance_sq(e) < distance_sq(nearest)) nearest = e;
  refuse_pair(i, static_cast<int>(neighbour_[nearest]));
}

// By their IDs: those of a ghost and of the atom it is an image of are the same.
void EdgeGraph::refuse_pair(int i, int j) const
{
  throw std::runtime_error(atom_->tag_enable ? two_in_one_place(atom_->tag[i], atom_->tag[j]) : two_in_one_place(i, j));
}

EdgeBatch EdgeGraph::batch() const
{
  return {n_centres_,         n_edges_,          n_atoms_,       vectors_.data(),
          first_edge_.data(), neighbour_.data(), centre_.data(), rows_->species.data()};
}

double EdgeGraph::memory_usage() const
{
  return bytes(vectors_) + bytes(first_edge_) + bytes(neighbour_) + bytes(centre_);
}

}    // namespace rhopot
