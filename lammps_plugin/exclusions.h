// `neigh_modify exclude` and `include`, for a model whose energies are those of many bodies.
//
// LAMMPS excludes pairs. An energy of pairs loses those terms and nothing else; an energy of many bodies is that of an atom with
// all its neighbours together, and is right only if the exclusions
//   take atoms out: they interact with nobody (`exclude group X all`, as `fix gcmc` does), and then count as deleted; or
//   divide the atoms into sets that do not see each other (`exclude type 1 2` where there are two types): the energy is the sum
//   of what each set has alone.
// In other words, "interacts with" has to be transitive. Where an atom would keep some of its neighbours and lose others
// (`exclude group frozen frozen`), the forces on the atoms around it would be wrong.

#ifndef RHOPOT_EXCLUSIONS_H
#define RHOPOT_EXCLUSIONS_H

#include <cstdint>
#include <string>
#include <vector>

#include "pointers.h"

namespace rhopot {

class Exclusions : protected LAMMPS_NS::Pointers {
 public:
  enum class Effect { ATOMS, SETS, PAIRS };    // takes out atoms, or none; divides them into sets; removes single pairs

  using Pointers::Pointers;

  // All ranks together, in every pass: fixes change groups, types and exclusions within a run. species_of_type [types+1],
  // negative: not handled by the model. Costs nothing where the input excludes nothing.
  void update(const std::vector<int64_t> &species_of_type);

  // Whether an atom (owned or ghost) interacts with nobody; call it for atoms that the model handles.
  bool takes_out(int i) const;

  Effect effect() const { return effect_; }

  // The exclusions as the input wrote them, like "'group frozen frozen', 'type 1 2'".
  std::string words() const;

 private:
  // What exclusions distinguish atoms by. molecule: 0 where it plays no part, else 1 or 2, two molecules that stand for all.
  struct Kind {
    int type = 0, groups = 0, molecule = 0;
    bool operator==(const Kind &other) const = default;
  };

  int bit_of(int group_index) const;
  Kind kind_of(int i) const;
  bool interact(const Kind &a, const Kind &b) const;
  std::vector<Kind> present_kinds(const std::vector<int64_t> &species_of_type) const;
  Effect find_effect() const;

  bool active_ = false;
  int group_bits_ = 0, molecule_bits_ = 0, included_bit_ = 0;
  std::vector<Kind> kinds_;    // present on any rank
  std::vector<Kind> out_;    // present and taken out
  Effect effect_ = Effect::ATOMS;
};

}    // namespace rhopot

#endif
