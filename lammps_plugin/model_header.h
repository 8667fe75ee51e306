// Reads and judges rhopot.json, before anything else of the file is looked at.

#ifndef RHOPOT_MODEL_HEADER_H
#define RHOPOT_MODEL_HEADER_H

#include <string>

#include "model.h"

namespace rhopot {

// Text of rhopot.json to header. Throws std::runtime_error with one sentence about model `name`.
ModelHeader parse_header(const std::string &json, const std::string &name);

}    // namespace rhopot

#endif
