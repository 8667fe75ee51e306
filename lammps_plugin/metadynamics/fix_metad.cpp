#include "fix_metad.h"

#include <mpi.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "../agreement.h"
#include "../load_model.h"
#include "../model.h"
#include "../type_check.h"
#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "group.h"
#include "input.h"
#include "modify.h"
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
  std::string bytes = rhopot::read_on_first_rank(lmp, cv_name_, "collective variable");
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

bool FixRhopotMetad::is_first_rank() const
{
  return comm->me == 0;
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
  for (const Fix *other : modify->get_fix_by_style("^rhopot/metad$"))
    require_other_files(*static_cast<const FixRhopotMetad *>(other));
  if (variable_->reads_edges()) {
    check_elements();
    neighbor->add_request(this, NeighConst::REQ_FULL);
  }
  warn_of_new_ids();
  rhopot::Model::set_threads(comm->nthreads);
  if (settings_.stop_uncertainty > 0.0 && !force->pair_match("^rhopot$", 0))
    refuse("stop_uncertainty needs pair style rhopot, whose members it reads");
  if (update->whichflag == 2 && !thermo_energy && comm->me == 0)
    error->warning(FLERR, "fix rhopot/metad: minimization needs the energy of the bias: write 'fix_modify {} energy yes'", id);
  if (settings_.walkers == rhopot::Walkers::PARTITIONS && update->whichflag == 1) compare_partitions();
}

// delete_atoms numbers the atoms that are left again, and the given atoms are others then.
void FixRhopotMetad::warn_of_new_ids()
{
  if (n_atoms_ > 0 && n_atoms_ != atom->natoms && !variable_->header().atoms.empty() && is_first_rank())
    error->warning(FLERR,
                   "fix rhopot/metad: {} atoms, {} in the last run; the variable is that of the atoms that have its IDs now "
                   "(delete_atoms gives new ones, except with compress no)",
                   atom->natoms, n_atoms_);
  n_atoms_ = atom->natoms;
}

// A wrong order of elements gives another variable in silence.
void FixRhopotMetad::check_elements() const
{
  std::vector<std::string> elements(atom->ntypes + 1);
  for (size_t type = 1; type <= settings_.elements.size(); type++)
    if (settings_.elements[type - 1] != "NULL") elements[type] = settings_.elements[type - 1];
  const std::string label = rhopot::contradicting_label(*atom, elements, "fix rhopot/metad");
  if (!label.empty()) error->all(FLERR, label);
  const std::string masses = rhopot::contradicting_masses(*atom, elements, "fix rhopot/metad");
  if (!masses.empty() && is_first_rank()) error->warning(FLERR, masses);
}

void FixRhopotMetad::require_other_files(const FixRhopotMetad &other) const
{
  if (&other == this) return;
  const auto names = [](const FixRhopotMetad &each) {
    std::vector<std::string> found = {each.settings_.colvar};
    if (each.settings_.pace > 0 && each.settings_.walkers != rhopot::Walkers::FOLDER) found.push_back(each.settings_.hills);
    return found;
  };
  for (const std::string &mine : names(*this))
    for (const std::string &theirs : names(other))
      if (mine == theirs)
        refuse(fmt::format("fixes {} and {} must write different files, got '{}' for both; give one of them hills or colvar",
                           id, other.id, mine));
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
    compare_with_restart_file();
    warn_of_images();
    energies_.hills = (*sum_)(values_, by_values);
  } catch (const std::out_of_range &reason) {
    stop_and_save("collective variables " + std::string(reason.what()));
  } catch (const LAMMPSException &) {
    throw;
  } catch (const std::exception &reason) {
    refuse(reason.what());
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

// Another group, or other elements, make another variable of the same file.
void FixRhopotMetad::compare_with_restart_file()
{
  const int64_t before = std::exchange(restored_centers_, -1);
  if (before < 0 || before == variable_->n_centers() || !is_first_rank()) return;
  error->warning(FLERR,
                 "fix rhopot/metad: the variable has {} centers, {} when the restart file was written; are group and "
                 "elements the same?",
                 variable_->n_centers(), before);
}

void FixRhopotMetad::warn_of_images()
{
  const size_t at = variable_->uncertain_image();
  if (at == 0 || has_warned_of_images_) return;
  has_warned_of_images_ = true;
  const std::vector<int64_t> &ids = variable_->header().atoms;
  if (is_first_rank())
    error->warning(FLERR,
                   "fix rhopot/metad: atoms {} and {} are half of the box apart at step {}, and which image is nearest may "
                   "change; list the atoms so that each is near the one before, or take a larger cell",
                   ids[at - 1], ids[at], update->ntimestep);
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
  utils::logmesg(lmp, "fix rhopot/metad: " + reason + "\n");
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
  const Hill hill{time(), own_walker(), height, values_, settings_.sigma};
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

size_t FixRhopotMetad::read_folder()
{
  try {
    return folder_->update(*sum_, values_.size(), world);
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

extern "C" __attribute__((visibility("default"))) void *rhopot_create_metad(void *lmp, int narg, char **arg)
{
  return new FixRhopotMetad(static_cast<LAMMPS *>(lmp), narg, arg);
}
