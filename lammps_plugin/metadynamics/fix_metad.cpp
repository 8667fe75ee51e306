#include "fix_metad.h"

#include <mpi.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "../agreement.h"
#include "../load_model.h"
#include "../model.h"
#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "group.h"
#include "input.h"
#include "neighbor.h"
#include "pair.h"
#include "universe.h"
#include "update.h"
#include "utils.h"

using namespace LAMMPS_NS;
using rhopot::Hill;

namespace {

constexpr double KJ_PER_MOL_OF_EV = 96.48533212331, KJ_PER_MOL_OF_KCAL = 4.184;

}    // namespace

// ---- the input ------------------------------------------------------------------------------------------------------------

FixRhopotMetad::FixRhopotMetad(LAMMPS *lmp, int narg, char **arg) : Fix(lmp, narg, arg)
{
  if (narg < 4) refuse("must be: fix ID group rhopot/metad <cv.pt> <element or NULL per atom type> <keywords>");
  const std::string units = update->unit_style;
  if (units != "metal" && units != "real") refuse("units must be metal or real, got " + units);
  kj_per_mol_ = units == "metal" ? KJ_PER_MOL_OF_EV : KJ_PER_MOL_OF_KCAL;
  ps_ = units == "metal" ? 1.0 : 1e-3;
  cv_name_ = arg[3];
  std::string bytes = rhopot::read_on_first_rank(lmp, cv_name_);
  const std::string failure = rhopot::attempt(world, [&] {
    const rhopot::CvFile file = rhopot::read_cv_file(std::move(bytes), cv_name_);
    settings_ = rhopot::read_settings({arg + 4, arg + narg}, file.header, atom->ntypes);
    variable_ = std::make_unique<rhopot::GroupVariable>(lmp, file, settings_.elements, groupbit);
  });
  if (!failure.empty()) error->all(FLERR, failure);
  const rhopot::CvHeader &header = variable_->header();
  periods_ = header.periods;
  values_.assign(header.names.size(), 0.0);
  sum_ = std::make_unique<rhopot::HillSum>(periods_, settings_.grid);

  scalar_flag = vector_flag = 1;
  size_vector = static_cast<int>(header.names.size()) + 4;
  global_freq = 1;
  extscalar = 1;
  extvector = 0;
  nevery = 1;
  energy_global_flag = virial_global_flag = 1;
  thermo_virial = 1;
  restart_global = 1;
  time_depend = 1;
  dynamic_group_allow = 1;

  if (settings_.walkers == rhopot::Walkers::PARTITIONS) {
    if (universe->nworlds < 2) refuse("walkers partitions needs several partitions; start LAMMPS with -partition 2x1");
    MPI_Comm_split(universe->uworld, comm->me == 0 ? 0 : MPI_UNDEFINED, universe->iworld, &roots_);
  }
  if (settings_.walkers == rhopot::Walkers::FOLDER && !std::filesystem::is_directory(settings_.folder))
    refuse("walkers folder must be a folder that exists, got '" + settings_.folder + "'; make it first");
}

FixRhopotMetad::~FixRhopotMetad()
{
  if (roots_ != MPI_COMM_NULL) MPI_Comm_free(&roots_);
}

void FixRhopotMetad::refuse(const std::string &reason) const
{
  error->all(FLERR, "fix rhopot/metad: " + reason);
}

template <typename Work> void FixRhopotMetad::on_first_rank(const Work &work)
{
  const std::string failure = rhopot::attempt(world, [&] {
    if (comm->me == 0) work();
  });
  if (!failure.empty()) refuse(failure);
}

int FixRhopotMetad::setmask()
{
  using namespace FixConst;
  return PRE_FORCE | PRE_REVERSE | MIN_PRE_REVERSE | FINAL_INTEGRATE | END_OF_STEP;
}

void FixRhopotMetad::init()
{
  if (utils::strmatch(update->integrate_style, "^respa")) refuse("run_style must be verlet, got respa");
  if (group->count(igroup) == 0) refuse(fmt::format("group {} must hold atoms, got none", group->names[igroup]));
  const std::string obstacle = variable_->obstacle();
  if (!obstacle.empty()) refuse(obstacle);
  if (variable_->reads_edges()) neighbor->add_request(this, NeighConst::REQ_FULL);
  rhopot::Model::set_threads(comm->nthreads);
  if (settings_.stop_uncertainty > 0.0 && !force->pair_match("^rhopot$", 0))
    refuse("stop_uncertainty needs pair style rhopot, whose members it reads");
  if (update->whichflag == 2 && !thermo_energy && comm->me == 0)
    error->warning(FLERR, "fix rhopot/metad: minimization needs the energy of the bias: write 'fix_modify {} energy yes'", id);
  if (settings_.walkers == rhopot::Walkers::PARTITIONS && update->whichflag == 1) compare_partitions();
}

void FixRhopotMetad::init_list(int, NeighList *list)
{
  list_ = list;
}

// Walkers of partitions wait for each other at every hill: what would make one wait for ever is found here.
void FixRhopotMetad::compare_partitions()
{
  int differ = 0;
  if (roots_ != MPI_COMM_NULL) {
    int64_t mine[4] = {update->ntimestep, update->laststep, settings_.pace,
                       static_cast<int64_t>(std::stoul(variable_->header().identity, nullptr, 16))};
    int64_t least[4], most[4];
    MPI_Allreduce(mine, least, 4, MPI_INT64_T, MPI_MIN, roots_);
    MPI_Allreduce(mine, most, 4, MPI_INT64_T, MPI_MAX, roots_);
    for (int k = 0; k < 4; k++) differ = differ || least[k] != most[k];
  }
  MPI_Bcast(&differ, 1, MPI_INT, 0, world);
  if (differ) refuse("walkers of partitions must have the same steps, pace and collective variable");
}

// ---- the files ------------------------------------------------------------------------------------------------------------

std::string FixRhopotMetad::suffix() const
{
  return settings_.walkers == rhopot::Walkers::PARTITIONS ? "." + std::to_string(universe->iworld) : "";
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
  std::vector<std::string> columns = {"metad.bias"};
  if (!settings_.walls.empty()) columns.push_back("walls.bias");
  if (!settings_.moving.empty()) columns.insert(columns.end(), {"moving.bias", "moving.work"});
  colvar_file_ = std::make_unique<rhopot::ColvarFile>(settings_.colvar + suffix(), header, kj_per_mol_, columns);
  on_first_rank([&] {
    if (!continues) rhopot::keep_older(colvar_file_->path());
    const rhopot::Values last = colvar_file_->keep_until(now);
    if (!settings_.restart || from_restart_file_ || settings_.moving.empty()) return;
    if (last.empty() || last.front() < now - update->dt * ps_)
      throw std::runtime_error(
          "restart yes needs the work of the moving restraint at the first step, got no line of that step in '" +
          colvar_file_->path() + "'; begin with a restart file");
    work_ = last.back() / kj_per_mol_;
  });
  MPI_Bcast(&work_, 1, MPI_DOUBLE, 0, world);
  if (continues) last_colvar_ = update->ntimestep;
  if (settings_.pace == 0) return;

  const auto file_of = [&](const std::string &path) {
    return rhopot::HillsFile(path, header, kj_per_mol_, settings_.biasfactor);
  };
  const bool in_folder = settings_.walkers == rhopot::Walkers::FOLDER;
  const auto path_in_folder = [&](int walker) { return settings_.folder + "/HILLS." + std::to_string(walker); };
  hills_file_ =
      std::make_unique<rhopot::HillsFile>(file_of(in_folder ? path_in_folder(settings_.walker) : settings_.hills + suffix()));
  std::vector<Hill> hills = continues ? hills_of_earlier_run() : std::vector<Hill>();
  const int own = in_folder ? settings_.walker : settings_.walkers == rhopot::Walkers::PARTITIONS ? universe->iworld : 0;
  check_start(hills);
  const size_t n_before = hills.size();
  std::erase_if(hills, [now](const Hill &hill) { return hill.time > now; });
  for (const Hill &hill : hills) hold(hill);
  std::string kept;
  on_first_rank([&] {
    if (!continues) kept = rhopot::keep_older(hills_file_->path());
    std::erase_if(hills, [own](const Hill &hill) { return hill.walker != own; });
    hills_file_->rewrite(hills);
  });
  const size_t n_hills = sum_->hills().size() + held_.size();
  print_start(n_hills, n_before - n_hills, kept);
  if (!in_folder) return;
  std::vector<rhopot::HillsFile> files;
  for (int walker = 0; walker < settings_.n_walkers; walker++) files.push_back(file_of(path_in_folder(walker)));
  folder_ = std::make_unique<rhopot::FolderReader>(std::move(files), settings_.walker);
  read_folder();
}

// From the restart file, or from HILLS; on all ranks.
std::vector<Hill> FixRhopotMetad::hills_of_earlier_run()
{
  if (from_restart_file_) return std::exchange(restored_, {});
  std::vector<Hill> hills;
  on_first_rank([&] {
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
      "restart file, or write 'reset_timestep' before the fix",
      hills.back().time, hills_file_->path()));
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
  last_colvar_ = update->ntimestep;
  rhopot::Values energies = {energies_.hills};
  if (!settings_.walls.empty()) energies.push_back(energies_.walls);
  if (!settings_.moving.empty()) energies.insert(energies.end(), {energies_.moving, work_});
  on_first_rank([&] { colvar_file_->append(time(), values_, energies); });
}

// ---- every step -----------------------------------------------------------------------------------------------------------

bool FixRhopotMetad::checks_uncertainty() const
{
  return settings_.stop_uncertainty > 0.0 && update->ntimestep % std::max(settings_.pace, 1) == 0;
}

void FixRhopotMetad::setup_pre_force(int vflag)
{
  pre_force(vflag);
}

// The pair style computes uncertainties in the steps that ask for them.
void FixRhopotMetad::pre_force(int)
{
  if (!checks_uncertainty()) return;
  int dimension = 0;
  auto *const flag = static_cast<int *>(force->pair_match("^rhopot$", 0)->extract("uncertainty_flag", dimension));
  *flag = 1;
}

void FixRhopotMetad::setup_pre_reverse(int eflag, int vflag)
{
  if (!has_started_) start_files();
  has_started_ = true;
  compute_bias(vflag);
  if (checks_uncertainty()) check_uncertainty();
  if (update->whichflag == 1 && update->setupflag && update->ntimestep % settings_.colvar_every == 0) write_colvar();
}

void FixRhopotMetad::min_setup(int) {}

void FixRhopotMetad::pre_reverse(int, int vflag)
{
  compute_bias(vflag);
  if (checks_uncertainty()) check_uncertainty();
}

void FixRhopotMetad::min_pre_reverse(int, int vflag)
{
  compute_bias(vflag);
}

// A hill acts from the step after its own: it is added when forces of a later step are computed, so that a run which begins at its
// step, from a restart file or with a second `run`, has the forces of the run that went on.
void FixRhopotMetad::hold(const Hill &hill)
{
  if (hill.time < time() - 0.5 * update->dt * ps_)
    sum_->add(hill);
  else
    held_.push_back(hill);
}

void FixRhopotMetad::compute_bias(int vflag)
{
  for (const Hill &hill : std::exchange(held_, {})) hold(hill);
  v_init(vflag);
  check_finite();
  rhopot::Values by_values(values_.size(), 0.0);
  try {
    values_ = variable_->evaluate(list_);
    if (variable_->reads_edges() && variable_->n_centers() == 0)
      throw std::runtime_error(
          fmt::format("group {} must hold atoms of the elements of the collective variable, got none", group->names[igroup]));
    for (size_t k = 0; k < values_.size(); k++)
      if (!std::isfinite(values_[k]))
        stop_and_save(fmt::format("{} must be finite, got {}: an average over no atoms of the group, for instance",
                                  variable_->header().names[k], values_[k]));
    energies_.hills = (*sum_)(values_, by_values);
  } catch (const std::out_of_range &reason) {
    stop_and_save("collective variables " + std::string(reason.what()));
  } catch (const LAMMPSException &) {
    throw;
  } catch (const std::exception &reason) {
    error->one(FLERR, "fix rhopot/metad: " + std::string(reason.what()));
  }
  energies_.walls = rhopot::wall_energy(settings_.walls, values_, periods_, by_values);
  energies_.moving = rhopot::moving_energy(settings_.moving, update->ntimestep, values_, periods_, by_values);
  if (std::all_of(by_values.begin(), by_values.end(), [](double each) { return each == 0.0; })) return;
  try {
    variable_->add_forces(by_values, vflag_global ? virial : nullptr);
  } catch (const std::exception &reason) {
    error->one(FLERR, "fix rhopot/metad: " + std::string(reason.what()));
  }
}

// Forces of the pair style that are no numbers: the positions still are, and are worth keeping.
void FixRhopotMetad::check_finite() const
{
  int bad = 0;
  for (int i = 0; i < atom->nlocal; i++) bad = bad || !std::isfinite(atom->f[i][0] + atom->f[i][1] + atom->f[i][2]);
  int any = 0;
  MPI_Allreduce(&bad, &any, 1, MPI_INT, MPI_MAX, world);
  if (any) const_cast<FixRhopotMetad *>(this)->stop_and_save("forces must be finite, got NaN or infinity");
}

void FixRhopotMetad::check_uncertainty()
{
  Pair *const pair = force->pair_match("^rhopot$", 0);
  int columns = 0, dimension = 0;
  const auto *const sigma = static_cast<double *>(pair->extract_peratom("uncertainty", columns));
  *static_cast<int *>(pair->extract("uncertainty_flag", dimension)) = 0;
  double mine = 0.0, most = 0.0;
  for (int i = 0; i < atom->nlocal; i++) mine = std::max(mine, sigma[i]);
  MPI_Allreduce(&mine, &most, 1, MPI_DOUBLE, MPI_MAX, world);
  if (most > settings_.stop_uncertainty)
    stop_and_save(fmt::format("standard deviation of forces must stay below stop_uncertainty {:g}, got {:.3g}",
                              settings_.stop_uncertainty, most));
}

void FixRhopotMetad::stop_and_save(const std::string &reason)
{
  const std::string name = std::string(id) + suffix() + "." + std::to_string(update->ntimestep);
  const std::string frame = name + ".lammpstrj", restart_name = name + ".restart";
  input->one("write_dump all custom " + frame + " id type x y z modify sort id");
  input->one("write_restart " + restart_name + " noinit");
  refuse(reason + fmt::format("; step {} is kept in {} and {}", update->ntimestep, frame, restart_name));
}

// In final_integrate, which setups, minimizations and `rerun` do not call: once for each step of dynamics.
void FixRhopotMetad::final_integrate()
{
  if (!settings_.moving.empty()) add_work();
  if (settings_.pace > 0 && update->ntimestep % settings_.pace == 0) deposit();
}

// What moving the restraints from the step before to this one did at fixed variables (Crooks, J. Stat. Phys. 90, 1481 (1998)).
void FixRhopotMetad::add_work()
{
  rhopot::Values unused(values_.size());
  const auto energy = [&](bigint step) { return rhopot::moving_energy(settings_.moving, step, values_, periods_, unused); };
  work_ += energy(update->ntimestep) - energy(update->ntimestep - 1);
}

void FixRhopotMetad::deposit()
{
  double height = settings_.height;
  if (settings_.biasfactor > 1.0)
    height *= std::exp(-energies_.hills / (force->boltz * settings_.temperature * (settings_.biasfactor - 1.0)));
  const int own = settings_.walkers == rhopot::Walkers::PARTITIONS ? universe->iworld : settings_.walker;
  const Hill hill{time(), own, height, values_, settings_.sigma};
  on_first_rank([&] { hills_file_->append(hill); });
  share(hill);
}

void FixRhopotMetad::share(const Hill &hill)
{
  if (settings_.walkers == rhopot::Walkers::PARTITIONS) {
    for (const Hill &each : rhopot::exchange_hills(hill, universe->nworlds, roots_, world)) hold(each);
    return;
  }
  hold(hill);
  if (folder_) read_folder();
}

void FixRhopotMetad::read_folder()
{
  try {
    folder_->update(*sum_, values_.size(), world);
  } catch (const std::exception &reason) {
    refuse(reason.what());
  }
}

void FixRhopotMetad::end_of_step()
{
  if (update->ntimestep % settings_.colvar_every == 0) write_colvar();
}

// ---- what others read -----------------------------------------------------------------------------------------------------

double FixRhopotMetad::compute_scalar()
{
  return energies_.total();
}

// The variables, then energies of hills, walls and moving restraints, and the work of the latter.
double FixRhopotMetad::compute_vector(int i)
{
  const int n = static_cast<int>(values_.size());
  if (i < n) return values_[i];
  const double others[4] = {energies_.hills, energies_.walls, energies_.moving, work_};
  return others[i - n];
}

double FixRhopotMetad::memory_usage()
{
  return sum_->memory_usage() + variable_->memory_usage();
}

// ---- restart files --------------------------------------------------------------------------------------------------------

// Numbers: identity of the variable, number of variables, work of the restraints, then hills.
void FixRhopotMetad::write_restart(FILE *file)
{
  if (comm->me != 0) return;
  std::vector<Hill> hills = has_started_ ? sum_->hills() : restored_;
  hills.insert(hills.end(), held_.begin(), held_.end());
  std::vector<double> numbers = {static_cast<double>(std::stoul(variable_->header().identity, nullptr, 16)),
                                 static_cast<double>(values_.size()), work_};
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
  for (auto at = numbers.begin() + 3; at != numbers.end(); at += 3 + 2 * n) {
    const auto center = at + 3, sigma = center + n;
    restored_.push_back({at[0], static_cast<int>(at[1]), at[2], {center, sigma}, {sigma, sigma + n}});
  }
  from_restart_file_ = true;
}

extern "C" __attribute__((visibility("default"))) void *rhopot_create_metad(void *lmp, int narg, char **arg)
{
  return new FixRhopotMetad(static_cast<LAMMPS *>(lmp), narg, arg);
}
