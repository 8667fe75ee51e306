#include "agreement.h"

namespace rhopot {

std::string first_failure(std::string mine, MPI_Comm world)
{
  int me = 0, n_ranks = 0, first = 0;
  MPI_Comm_rank(world, &me);
  MPI_Comm_size(world, &n_ranks);
  const int failed = mine.empty() ? n_ranks : me;
  MPI_Allreduce(&failed, &first, 1, MPI_INT, MPI_MIN, world);
  if (first == n_ranks) return "";
  int length = static_cast<int>(mine.size());
  MPI_Bcast(&length, 1, MPI_INT, first, world);
  mine.resize(length);
  MPI_Bcast(mine.data(), length, MPI_CHAR, first, world);
  return mine;
}

}    // namespace rhopot
