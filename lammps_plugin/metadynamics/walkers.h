// Hills that several walkers share: partitions of one LAMMPS, in step with each other, or programs of their own that read each
// other's files in a folder.

#ifndef RHOPOT_METADYNAMICS_WALKERS_H
#define RHOPOT_METADYNAMICS_WALKERS_H

#include <mpi.h>

#include <string>
#include <vector>

#include "bias.h"
#include "plumed_files.h"

namespace rhopot {

// The hills of all partitions, this one's included, in their order; all ranks of all partitions call it together.
// roots: the first ranks of the partitions, MPI_COMM_NULL on other ranks.
std::vector<Hill> exchange_hills(const Hill &mine, int n_partitions, MPI_Comm roots, MPI_Comm world);

// Hills of the first rank, on every rank.
std::vector<Hill> broadcast_hills(const std::vector<Hill> &hills, size_t n_variables, MPI_Comm world);

// What the other walkers of a folder have written.
class FolderReader {
 public:
  // files: of all walkers; own: the index that is not read.
  FolderReader(std::vector<HillsFile> files, int own);

  // Adds what is new to a sum of hills, on all ranks together; the first one reads. A file that was replaced or has become
  // shorter (its walker was restarted) is read anew. Returns how many were added.
  size_t update(HillSum &sum, size_t n_variables, MPI_Comm world);

 private:
  std::vector<HillsFile> files_;
  std::vector<long> offsets_;
  std::vector<uint64_t> numbers_;    // of the files that were read
  int own_;
};

}    // namespace rhopot

#endif
