#include "exclusions.h"

#include <mpi.h>

#include <algorithm>
#include <numeric>

#include "atom.h"
#include "fmt/format.h"
#include "group.h"
#include "neighbor.h"

using namespace LAMMPS_NS;

namespace rhopot {
namespace {

constexpr int ALL = 1;    // bit of group all

template <typename T> bool contains(const std::vector<T> &values, const T &value)
{
  return std::find(values.begin(), values.end(), value) != values.end();
}

}    // namespace

void Exclusions::update(const std::vector<int64_t> &species_of_type)
{
  kinds_.clear();
  out_.clear();
  effect_ = Effect::ATOMS;
  active_ = neighbor->nex_type + neighbor->nex_group + neighbor->nex_mol > 0 || neighbor->includegroup > 0;
  if (!active_) return;

  group_bits_ = molecule_bits_ = 0;
  included_bit_ = neighbor->includegroup > 0 ? bit_of(neighbor->includegroup) : 0;
  for (int k = 0; k < neighbor->nex_group; k++) group_bits_ |= bit_of(neighbor->ex1_group[k]) | bit_of(neighbor->ex2_group[k]);
  for (int k = 0; k < neighbor->nex_mol; k++) molecule_bits_ |= bit_of(neighbor->ex_mol_group[k]);
  for (const Kind &kind : present_kinds(species_of_type)) {
    kinds_.push_back(kind);
    if (kind.molecule) kinds_.push_back({kind.type, kind.groups, 2});
  }
  for (const Kind &kind : kinds_) {
    const auto interacts = [&](const Kind &other) { return interact(kind, other); };
    if (std::none_of(kinds_.begin(), kinds_.end(), interacts)) out_.push_back(kind);
  }
  effect_ = find_effect();
}

bool Exclusions::takes_out(int i) const
{
  return active_ && contains(out_, kind_of(i));
}

// Transitive: atoms that interact see the same others. Those taken out play no part.
Exclusions::Effect Exclusions::find_effect() const
{
  const size_t n = kinds_.size();
  std::vector<std::vector<bool>> sees(n, std::vector<bool>(n));
  for (size_t a = 0; a < n; a++)
    for (size_t b = 0; b < n; b++) sees[a][b] = interact(kinds_[a], kinds_[b]);
  bool all = true, transitive = true;
  for (size_t a = 0; a < n; a++)
    for (size_t b = 0; b < n; b++) {
      if (sees[a][b])
        transitive = transitive && sees[a] == sees[b];
      else
        all = all && (contains(out_, kinds_[a]) || contains(out_, kinds_[b]));
    }
  return all ? Effect::ATOMS : transitive ? Effect::SETS : Effect::PAIRS;
}

// ---- kinds of atoms -------------------------------------------------------------------------------------------------------

// Every atom is one of group all. `fix gcmc` moves those it takes out from there to its own group, which it excludes from all;
// they count as deleted, whereas lists keep the pairs of such atoms among themselves.
Exclusions::Kind Exclusions::kind_of(int i) const
{
  const int groups = (atom->mask[i] | ALL) & (group_bits_ | molecule_bits_ | included_bit_);
  return {neighbor->nex_type > 0 ? atom->type[i] : 0, groups, groups & molecule_bits_ ? 1 : 0};
}

// LAMMPS keeps bits of its own beside the groups, which `run ... pre no` does not bring up to date.
int Exclusions::bit_of(int group_index) const
{
  return group->bitmask[group_index];
}

// As in LAMMPS' neighbour lists.
bool Exclusions::interact(const Kind &a, const Kind &b) const
{
  if (included_bit_ && !(a.groups & b.groups & included_bit_)) return false;
  for (int k = 0; k < neighbor->nex_type; k++) {
    const int first = neighbor->ex1_type[k], second = neighbor->ex2_type[k];
    if ((a.type == first && b.type == second) || (a.type == second && b.type == first)) return false;
  }
  for (int k = 0; k < neighbor->nex_group; k++) {
    const int first = bit_of(neighbor->ex1_group[k]), second = bit_of(neighbor->ex2_group[k]);
    if ((a.groups & first && b.groups & second) || (a.groups & second && b.groups & first)) return false;
  }
  for (int k = 0; k < neighbor->nex_mol; k++) {
    const bool named = a.groups & b.groups & bit_of(neighbor->ex_mol_group[k]);
    if (named && (a.molecule == b.molecule) == (neighbor->ex_mol_intra[k] != 0)) return false;
  }
  return true;
}

// Those of atoms that the model handles, of all ranks in the same order.
std::vector<Exclusions::Kind> Exclusions::present_kinds(const std::vector<int64_t> &species_of_type) const
{
  std::vector<Kind> mine;
  for (int i = 0; i < atom->nlocal; i++) {
    if (species_of_type[atom->type[i]] < 0) continue;
    const Kind kind = kind_of(i);
    if (!contains(mine, kind)) mine.push_back(kind);
  }

  int n_ranks = 0;
  MPI_Comm_size(world, &n_ranks);
  const int my_bytes = static_cast<int>(mine.size() * sizeof(Kind));
  std::vector<int> bytes(n_ranks), start(n_ranks + 1, 0);
  MPI_Allgather(&my_bytes, 1, MPI_INT, bytes.data(), 1, MPI_INT, world);
  std::partial_sum(bytes.begin(), bytes.end(), start.begin() + 1);
  std::vector<Kind> gathered(start[n_ranks] / sizeof(Kind)), kinds;
  MPI_Allgatherv(mine.data(), my_bytes, MPI_BYTE, gathered.data(), bytes.data(), start.data(), MPI_BYTE, world);
  for (const Kind &kind : gathered)
    if (!contains(kinds, kind)) kinds.push_back(kind);
  return kinds;
}

std::string Exclusions::words() const
{
  std::vector<std::string> each;
  for (int k = 0; k < neighbor->nex_type; k++)
    each.push_back(fmt::format("type {} {}", neighbor->ex1_type[k], neighbor->ex2_type[k]));
  for (int k = 0; k < neighbor->nex_group; k++)
    each.push_back(fmt::format("group {} {}", group->names[neighbor->ex1_group[k]], group->names[neighbor->ex2_group[k]]));
  for (int k = 0; k < neighbor->nex_mol; k++)
    each.push_back(
        fmt::format("molecule/{} {}", neighbor->ex_mol_intra[k] ? "intra" : "inter", group->names[neighbor->ex_mol_group[k]]));
  std::string text;
  for (const std::string &exclusion : each) text += (text.empty() ? "'" : ", '") + exclusion + "'";
  return text;
}

}    // namespace rhopot
