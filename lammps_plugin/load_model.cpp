#include "load_model.h"

#include <mpi.h>

#include <algorithm>
#include <exception>
#include <fstream>
#include <sstream>
#include <utility>

#include "agreement.h"
#include "comm.h"
#include "device_choice.h"
#include "error.h"
#include "evaluator.h"
#include "lammps.h"
#include "model_file.h"
#include "utils.h"

using namespace LAMMPS_NS;

namespace rhopot {
namespace {

}    // namespace

std::string read_on_first_rank(LAMMPS *lmp, const std::string &path, const std::string &what)
{
  std::string bytes;
  bigint size = -1;
  if (lmp->comm->me == 0) {
    const std::string found = utils::get_potential_file_path(path);
    std::ifstream file(found.empty() ? path : found, std::ios::binary);
    std::ostringstream content;
    if (file && content << file.rdbuf()) {
      bytes = content.str();
      size = static_cast<bigint>(bytes.size());
    }
  }
  MPI_Bcast(&size, 1, MPI_LMP_BIGINT, 0, lmp->world);
  if (size < 0) lmp->error->all(FLERR, "{} '{}' cannot be read (no such file, or empty)", what, path);
  bytes.resize(size);
  constexpr bigint CHUNK = 1 << 30;
  for (bigint start = 0; start < size; start += CHUNK)
    MPI_Bcast(bytes.data() + start, static_cast<int>(std::min(CHUNK, size - start)), MPI_CHAR, 0, lmp->world);
  return bytes;
}

namespace {

Seat seat_on_machine(MPI_Comm world)
{
  MPI_Comm machine;
  Seat seat;
  MPI_Comm_split_type(world, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine);
  MPI_Comm_rank(machine, &seat.rank);
  MPI_Comm_size(machine, &seat.count);
  MPI_Comm_free(&machine);
  return seat;
}

// A GPU may fail on one rank alone, for instance one whose memory another program has.
std::unique_ptr<Model> load_on_device(LAMMPS *lmp, const ModelFile &file, const std::string &wish)
{
  const Seat seat = seat_on_machine(lmp->world);
  std::string device;
  std::unique_ptr<Model> model;
  const std::string failure = attempt(lmp->world, [&] {
    device = choose_device(wish, seat, wish == "cpu" ? 0 : Model::count_gpus());
    model = std::make_unique<Model>(file, device);
  });
  if (failure.empty()) return model;
  int fallback = may_use_processor_instead(wish, device);
  MPI_Allreduce(MPI_IN_PLACE, &fallback, 1, MPI_INT, MPI_MAX, lmp->world);
  if (!fallback) lmp->error->all(FLERR, "pair style rhopot: " + failure);
  model.reset();
  const std::string refusal = attempt(lmp->world, [&] { model = std::make_unique<Model>(file, "cpu"); });
  if (!refusal.empty()) lmp->error->all(FLERR, "pair style rhopot: " + refusal);
  if (lmp->comm->me == 0)
    lmp->error->warning(FLERR, "pair style rhopot: device auto takes the processor, the GPU cannot be used: " + failure);
  return model;
}

}    // namespace

std::unique_ptr<Model> load_model(LAMMPS *lmp, const std::string &path, const std::string &wish)
{
  ModelFile file;
  std::string bytes = read_on_first_rank(lmp, path, "model");
  const std::string failure = attempt(lmp->world, [&] {
    file = read_model_file(std::move(bytes), path);
    require_evaluator(file.header, path);
  });
  if (!failure.empty()) lmp->error->all(FLERR, "pair style rhopot: " + failure);
  return load_on_device(lmp, file, wish);
}

}    // namespace rhopot
