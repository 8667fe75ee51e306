// From the file name in pair_coeff to a model on every rank.

#ifndef RHOPOT_LOAD_MODEL_H
#define RHOPOT_LOAD_MODEL_H

#include <memory>
#include <string>

#include "model.h"

namespace LAMMPS_NS {
class LAMMPS;
}

namespace rhopot {

// The bytes of a file (in the current folder or LAMMPS_POTENTIALS): one rank reads, all get the same, so they accept or refuse it
// together. A file that cannot be read is a LAMMPS error, which says what it should have been.
std::string read_on_first_rank(LAMMPS_NS::LAMMPS *lmp, const std::string &path, const std::string &what);

// wish: the device that the input asks for (device_choice.h). All ranks call it together, and have a model or stop together,
// with one LAMMPS error. Under `auto`, a GPU that cannot run the model is warned about with its reason.
std::unique_ptr<Model> load_model(LAMMPS_NS::LAMMPS *lmp, const std::string &path, const std::string &wish);

}    // namespace rhopot

#endif
