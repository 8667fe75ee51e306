// What every field of rhopot.json must be: the rules of export/card.py in C++, with the same sentences.

#ifndef RHOPOT_CARD_RULES_H
#define RHOPOT_CARD_RULES_H

#include <string>
#include <vector>

#include "json.h"    // nlohmann's, as LAMMPS carries it

namespace rhopot {

// One sentence for each field that is missing, unknown or wrong; none for a card of this format.
std::vector<std::string> card_faults(const LAMMPS_NS::json &card);

}    // namespace rhopot

#endif
