// The files of fix rhopot/metad: HILLS and COLVAR at the start of a run, and its state in restart files.

#include <mpi.h>

#include <cmath>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "../agreement.h"
#include "comm.h"
#include "error.h"
#include "fix_metad.h"
#include "universe.h"
#include "update.h"
#include "utils.h"

using namespace LAMMPS_NS;
using rhopot::Hill;

namespace {

constexpr int HEAD = 5;    // numbers of a restart file before those of its hills

}    // namespace

// ---- the files ------------------------------------------------------------------------------------------------------------

std::string FixRhopotMetad::suffix() const
{
  if (settings_.walkers == rhopot::Walkers::FOLDER) return "." + std::to_string(settings_.walker);
  return universe->nworlds > 1 ? "." + std::to_string(universe->iworld) : "";
}

double FixRhopotMetad::time() const
{
  return (update->atime + static_cast<double>(update->ntimestep - update->atimestep) * update->dt) * ps_;
}

void FixRhopotMetad::start_files()
{
  const rhopot::CvHeader &header = variable_->header();
  const bool continues = settings_.restart || from_restart_file_;
  const double now = time() + 0.5 * update->dt * ps_;
  const auto file_of = [&](const std::string &path) {
    return rhopot::HillsFile(path, header, kj_per_mol_, settings_.biasfactor);
  };
  const bool in_folder = settings_.walkers == rhopot::Walkers::FOLDER;
  const auto path_in_folder = [&](int walker) { return settings_.folder + "/HILLS." + std::to_string(walker); };
  hills_file_ =
      std::make_unique<rhopot::HillsFile>(file_of(in_folder ? path_in_folder(settings_.walker) : settings_.hills + suffix()));
  // What cannot be continued is refused here, before any file is changed.
  std::vector<Hill> hills;
  size_t n_dropped = 0;
  if (continues && settings_.pace > 0) {
    hills = hills_of_earlier_run();
    check_start(hills);
    std::erase_if(hills, [now](const Hill &hill) { return hill.time > now; });
    on_first_rank([&] {
      for (const Hill &hill : hills_file_->read(own_walker())) n_dropped += hill.time > now;
    });
  }
  start_colvar(continues, now);
  if (settings_.pace == 0) return;
  for (const Hill &hill : hills) hold(hill);
  std::string kept;
  on_first_rank([&] {
    if (!continues || n_dropped > 0) kept = rhopot::keep_older(hills_file_->path());
    std::erase_if(hills, [&](const Hill &hill) { return hill.walker != own_walker(); });
    hills_file_->rewrite(hills);
  });
  print_start(sum_->hills().size() + held_.size(), n_dropped, kept);
  if (!in_folder) return;
  std::vector<rhopot::HillsFile> files;
  for (int walker = 0; walker < settings_.n_walkers; walker++) files.push_back(file_of(path_in_folder(walker)));
  folder_ = std::make_unique<rhopot::FolderReader>(std::move(files), settings_.walker);
  const size_t n_read = read_folder();
  if (n_read > 0 && is_first_rank())
    utils::logmesg(lmp, "fix rhopot/metad: {} hills of other walkers are in '{}' and act from the start\n", n_read,
                   settings_.folder);
}

void FixRhopotMetad::start_colvar(bool continues, double now)
{
  std::vector<std::string> columns = {"metad.bias"};
  if (!settings_.walls.empty()) columns.push_back("walls.bias");
  if (!settings_.moving.empty()) columns.insert(columns.end(), {"moving.bias", "moving.work"});
  colvar_file_ = std::make_unique<rhopot::ColvarFile>(settings_.colvar + suffix(), variable_->header(), kj_per_mol_, columns);
  on_first_rank([&] {
    if (continues) colvar_file_->require_own();
    rhopot::keep_older(colvar_file_->path(), /*copies=*/continues);
    const rhopot::Values last = colvar_file_->keep_until(now);
    if (!settings_.restart || from_restart_file_ || settings_.moving.empty()) return;
    if (last.empty() || last.front() < now - update->dt * ps_)
      throw std::runtime_error("restart yes needs the work of the moving restraint at the first step, got no line of that "
                               "step in '" +
                               colvar_file_->path() + "'; begin with a restart file");
    work_ = last.back() / kj_per_mol_;
  });
  MPI_Bcast(&work_, 1, MPI_DOUBLE, 0, world);
  if (continues) last_colvar_ = update->ntimestep;
}

int FixRhopotMetad::own_walker() const
{
  return settings_.walkers == rhopot::Walkers::PARTITIONS ? universe->iworld : settings_.walker;
}

// From the restart file, or from HILLS; on all ranks.
std::vector<Hill> FixRhopotMetad::hills_of_earlier_run()
{
  if (from_restart_file_) return std::exchange(restored_, {});
  std::vector<Hill> hills;
  on_first_rank([&] {
    if (!hills_file_->exists())
      throw std::runtime_error("restart yes needs the hills of the run before, got no file '" + hills_file_->path() +
                               "'; give its name, or leave restart out");
    if (settings_.walkers != rhopot::Walkers::PARTITIONS) {
      hills = hills_file_->read(settings_.walker);
      return;
    }
    for (int walker = 0; walker < universe->nworlds; walker++) {
      const rhopot::HillsFile file(settings_.hills + "." + std::to_string(walker), variable_->header(), kj_per_mol_,
                                   settings_.biasfactor);
      for (Hill &hill : file.read(walker)) hills.push_back(std::move(hill));
    }
  });
  hills = rhopot::broadcast_hills(hills, values_.size(), world);
  return hills;
}

// A run that begins at step 0 would drop every hill.
void FixRhopotMetad::check_start(const std::vector<Hill> &hills) const
{
  if (update->ntimestep > 0 || hills.empty()) return;
  refuse(fmt::format(
      "restart yes must begin at the step that its hills lead to, got step 0 and hills up to {:g} ps in '{}'; read a "
      "restart file, or write 'reset_timestep {}' before the fix",
      hills.back().time, hills_file_->path(), std::lround(hills.back().time / (update->dt * ps_))));
}

void FixRhopotMetad::print_start(size_t n_hills, size_t n_dropped, const std::string &kept) const
{
  if (comm->me != 0) return;
  if (!kept.empty()) utils::logmesg(lmp, "fix rhopot/metad: the '{}' that was there is now '{}'\n", hills_file_->path(), kept);
  if (!settings_.restart && !from_restart_file_) return;
  utils::logmesg(lmp, "fix rhopot/metad: continues with {} hills; {} later than step {} were dropped\n", n_hills, n_dropped,
                 update->ntimestep);
}

void FixRhopotMetad::write_colvar()
{
  if (update->ntimestep == last_colvar_) return;
  if (update->ntimestep < last_colvar_) begin_colvar_again();
  last_colvar_ = update->ntimestep;
  rhopot::Values energies = {energies_.hills};
  if (!settings_.walls.empty()) energies.push_back(energies_.walls);
  if (!settings_.moving.empty()) energies.insert(energies.end(), {energies_.moving, work_});
  on_first_rank([&] { colvar_file_->append(time(), values_, energies); });
}

// `rerun` and `reset_timestep` go back in time: the lines so far stay as they are, in a file of their own.
void FixRhopotMetad::begin_colvar_again()
{
  std::string kept;
  on_first_rank([&] {
    kept = rhopot::keep_older(colvar_file_->path());
    colvar_file_->keep_until(0.0);
  });
  if (is_first_rank())
    utils::logmesg(lmp, "fix rhopot/metad: step {} comes after step {}: '{}' so far is now '{}'\n", update->ntimestep,
                   last_colvar_, colvar_file_->path(), kept);
}

// ---- restart files --------------------------------------------------------------------------------------------------------

// Numbers: identity of the variable, number of variables, work of the restraints, centers, temperature, then hills.
void FixRhopotMetad::write_restart(FILE *file)
{
  if (comm->me != 0) return;
  std::vector<Hill> hills = has_started_ ? sum_->hills() : restored_;
  hills.insert(hills.end(), held_.begin(), held_.end());
  std::vector<double> numbers = {
      static_cast<double>(std::stoul(variable_->header().identity, nullptr, 16)), static_cast<double>(values_.size()), work_,
      static_cast<double>(has_started_ ? variable_->n_centers() : restored_centers_), settings_.temperature};
  for (const Hill &hill : hills) {
    // Those of other programs in a folder are read from their files again.
    if (settings_.walkers == rhopot::Walkers::FOLDER && hill.walker != settings_.walker) continue;
    numbers.insert(numbers.end(), {hill.time, static_cast<double>(hill.walker), hill.height});
    numbers.insert(numbers.end(), hill.center.begin(), hill.center.end());
    numbers.insert(numbers.end(), hill.sigma.begin(), hill.sigma.end());
  }
  const size_t bytes = (numbers.size() + 1) * sizeof(double);
  const int size = static_cast<int>(bytes);
  const auto count = static_cast<double>(numbers.size());
  std::fwrite(&size, sizeof(int), 1, file);
  std::fwrite(&count, sizeof(double), 1, file);
  std::fwrite(numbers.data(), sizeof(double), numbers.size(), file);
}

void FixRhopotMetad::restart(char *buffer)
{
  double count = 0.0;
  std::memcpy(&count, buffer, sizeof(double));
  std::vector<double> numbers(static_cast<size_t>(count));
  std::memcpy(numbers.data(), buffer + sizeof(double), numbers.size() * sizeof(double));
  const size_t n = values_.size();
  if (numbers[0] != static_cast<double>(std::stoul(variable_->header().identity, nullptr, 16)) || numbers[1] != n)
    refuse("the restart file was written with another collective variable than '" + cv_name_ +
           "'; take the same, or give the fix another ID");
  work_ = numbers[2];
  restored_centers_ = static_cast<int64_t>(numbers[3]);
  if (settings_.biasfactor > 1.0 && numbers[4] > 0.0 && numbers[4] != settings_.temperature && is_first_rank())
    error->warning(FLERR, "fix rhopot/metad: temp is {:g}, and was {:g} when the restart file was written",
                   settings_.temperature, numbers[4]);
  for (auto at = numbers.begin() + HEAD; at != numbers.end(); at += 3 + 2 * n) {
    const auto center = at + 3, sigma = center + n;
    restored_.push_back({at[0], static_cast<int>(at[1]), at[2], {center, sigma}, {sigma, sigma + n}});
  }
  from_restart_file_ = true;
}
