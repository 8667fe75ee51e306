// Ranks that stop, or go on, together.

#ifndef RHOPOT_AGREEMENT_H
#define RHOPOT_AGREEMENT_H

#include <mpi.h>

#include <exception>
#include <string>
#include <utility>

namespace rhopot {

// The words of the first rank that has a failure to report, on every rank; empty when none has. All ranks call it together.
std::string first_failure(std::string mine, MPI_Comm world);

// Runs `work` on every rank; returns the first rank's failure, the same on all.
template <typename Work> std::string attempt(MPI_Comm world, const Work &work)
{
  std::string failure;
  try {
    work();
  } catch (const std::exception &reason) {
    failure = reason.what();
  }
  return first_failure(std::move(failure), world);
}

}    // namespace rhopot

#endif
