// Two atoms in one place: a mistake of the input that models would answer with some finite number.

#ifndef RHOPOT_SAME_PLACE_H
#define RHOPOT_SAME_PLACE_H

#include <cstdint>
#include <string>

namespace rhopot {

// Distance (A) below which two atoms are in one place: well above rounding, well below any distance of atoms. As in
// potentials/graph/neighbours.py.
constexpr double SAME_PLACE = 1e-8;

inline std::string two_in_one_place(int64_t i, int64_t j)
{
  return "positions must be distinct, got atoms " + std::to_string(i) + " and " + std::to_string(j) +
      " in one place; remove one";
}

}    // namespace rhopot

#endif
