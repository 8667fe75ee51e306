// Elements in pair_coeff, or in a fix, against what the input says of its atom types: a wrong order gives wrong energies in silence, most easily
// after read_data or read_restart, which bring types from elsewhere.
//
// A label that is the symbol of another element contradicts: the run stops. A mass does not have to be that of the element
// (isotopes, repartitioned or equal masses), so one that is another element's is warned about, and any other accepted.

#ifndef RHOPOT_TYPE_CHECK_H
#define RHOPOT_TYPE_CHECK_H

#include <string>
#include <vector>

namespace LAMMPS_NS {
class Atom;
}

namespace rhopot {

// One sentence, or nothing. element_of_type [types+1]: symbols, empty for NULL; command: that names them.
std::string contradicting_label(const LAMMPS_NS::Atom &atom, const std::vector<std::string> &element_of_type,
                                const std::string &command);
std::string contradicting_masses(const LAMMPS_NS::Atom &atom, const std::vector<std::string> &element_of_type,
                                 const std::string &command);

}    // namespace rhopot

#endif
