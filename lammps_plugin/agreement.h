// Ranks that stop, or go on, together.

#ifndef RHOPOT_AGREEMENT_H
#define RHOPOT_AGREEMENT_H

#include <mpi.h>

#include <string>

namespace rhopot {

// The words of the first rank that has a failure to report, on every rank; empty when none has. All ranks call it together.
std::string first_failure(std::string mine, MPI_Comm world);

}    // namespace rhopot

#endif
