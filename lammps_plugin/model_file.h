// A model file before torch sees it: every byte of the archive checked, rhopot.json read and judged.

#ifndef RHOPOT_MODEL_FILE_H
#define RHOPOT_MODEL_FILE_H

#include <string>

#include "model.h"

namespace rhopot {

// bytes: the whole file; name: how messages call it. Throws std::runtime_error with one sentence when the file is damaged,
// belongs to another program or has a newer format. Visible outside its library, as Model is.
__attribute__((visibility("default"))) ModelFile read_model_file(std::string bytes, const std::string &name);

}    // namespace rhopot

#endif
