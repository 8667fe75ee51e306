#include "walkers.h"

#include <utility>

#include "../agreement.h"

namespace rhopot {
namespace {

// A hill as numbers: time, walker, height, center, sigma.
size_t width(size_t n_variables)
{
  return 3 + 2 * n_variables;
}

void pack(const Hill &hill, std::vector<double> &buffer)
{
  buffer.insert(buffer.end(), {hill.time, static_cast<double>(hill.walker), hill.height});
  buffer.insert(buffer.end(), hill.center.begin(), hill.center.end());
  buffer.insert(buffer.end(), hill.sigma.begin(), hill.sigma.end());
}

std::vector<Hill> unpacked(const std::vector<double> &buffer, size_t n_variables)
{
  std::vector<Hill> hills;
  for (auto at = buffer.begin(); at != buffer.end(); at += width(n_variables)) {
    const auto center = at + 3, sigma = center + n_variables;
    hills.push_back({at[0], static_cast<int>(at[1]), at[2], {center, sigma}, {sigma, sigma + n_variables}});
  }
  return hills;
}

}    // namespace

std::vector<Hill> exchange_hills(const Hill &mine, int n_partitions, MPI_Comm roots, MPI_Comm world)
{
  const size_t n_variables = mine.center.size();
  std::vector<double> packed, all(n_partitions * width(n_variables));
  pack(mine, packed);
  const int n = static_cast<int>(packed.size());
  if (roots != MPI_COMM_NULL) MPI_Allgather(packed.data(), n, MPI_DOUBLE, all.data(), n, MPI_DOUBLE, roots);
  MPI_Bcast(all.data(), static_cast<int>(all.size()), MPI_DOUBLE, 0, world);
  return unpacked(all, n_variables);
}

std::vector<Hill> broadcast_hills(const std::vector<Hill> &hills, size_t n_variables, MPI_Comm world)
{
  std::vector<double> packed;
  for (const Hill &hill : hills) pack(hill, packed);
  int64_t size = static_cast<int64_t>(packed.size());
  MPI_Bcast(&size, 1, MPI_INT64_T, 0, world);
  packed.resize(size);
  MPI_Bcast(packed.data(), static_cast<int>(size), MPI_DOUBLE, 0, world);
  return unpacked(packed, n_variables);
}

FolderReader::FolderReader(std::vector<HillsFile> files, int own)
    : files_(std::move(files)),
      offsets_(files_.size(), 0),
      numbers_(files_.size(), 0),
      own_(own)
{
}

size_t FolderReader::update(HillSum &sum, size_t n_variables, MPI_Comm world)
{
  int me = 0;
  size_t n_added = 0;
  MPI_Comm_rank(world, &me);
  for (int walker = 0; walker < static_cast<int>(files_.size()); walker++) {
    if (walker == own_) continue;
    const uint64_t number = me == 0 ? files_[walker].file_number() : 0;
    int is_another = me == 0 && (files_[walker].size() < offsets_[walker] || number != numbers_[walker]);
    MPI_Bcast(&is_another, 1, MPI_INT, 0, world);
    if (is_another) {
      sum.remove_walker(walker);
      offsets_[walker] = 0;
      numbers_[walker] = number;
    }
    std::vector<Hill> found;
    const std::string failure = attempt(world, [&] {
      if (me == 0) found = files_[walker].read_from(offsets_[walker], walker);
    });
    if (!failure.empty()) throw std::runtime_error(failure);
    for (const Hill &hill : broadcast_hills(found, n_variables, world)) {
      sum.add(hill);
      n_added++;
    }
  }
  return n_added;
}

}    // namespace rhopot
