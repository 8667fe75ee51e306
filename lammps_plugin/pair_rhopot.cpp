// The LAMMPS side of a model: one short function per hook. Energies and forces are the work of its evaluator.

#include "pair_rhopot.h"

#include <mpi.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <stdexcept>

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "load_model.h"
#include "memory.h"
#include "modify.h"
#include "type_check.h"
#include "update.h"
#include "utils.h"

using namespace LAMMPS_NS;

namespace {

double energy_scale(const std::string &units)
{
  if (units == "metal") return 1.0;
  if (units == "real") return utils::get_conversion_factor(utils::ENERGY, utils::METAL2REAL);
  throw std::runtime_error("units must be metal or real for pair style rhopot, got " + units +
                           "; write 'units metal' at the top of the input");
}

std::string joined(const std::vector<std::string> &words)
{
  std::string text;
  for (const std::string &word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

}    // namespace

// All flags and sizes are final here: pair style hybrid reads them before a model is loaded.
PairRhopot::PairRhopot(LAMMPS *lmp) : Pair(lmp)
{
  single_enable = 0;
  restartinfo = 0;    // after read_restart the input names pair style and model again
  one_coeff = 1;
  manybody_flag = 1;
  no_virial_fdotr_compute = 1;
  centroidstressflag = CENTROID_AVAIL;
  comm_forward = rhopot::Evaluator::FORWARD_SIZE;
  comm_reverse = rhopot::Evaluator::REVERSE_SIZE;
  nextra = 1;    // `compute pair`: standard deviation of the members' totals
  pvector = &total_deviation_;
  total_deviation_ = std::nan("");
}

PairRhopot::~PairRhopot()
{
  pvector = nullptr;
  if (!allocated) return;
  memory->destroy(setflag);
  memory->destroy(cutsq);
}

// ---- settings -------------------------------------------------------------------------------------------------------------

void PairRhopot::settings(int narg, char **arg)
{
  device_ = "auto";
  stretch_ = 0.0;
  unset_pairs();
  for (int i = 0; i < narg; i += 2) {
    const std::string keyword = arg[i], value = i + 1 < narg ? arg[i + 1] : "nothing";
    if (keyword == "device")
      set_device(value);
    else if (keyword == "stretch")
      set_stretch(value);
    else
      error->all(FLERR, "pair_style rhopot: keyword must be device or stretch, got {}; the model goes into pair_coeff",
                 keyword);
  }
}

void PairRhopot::set_device(const std::string &value)
{
  if (value != "auto" && value != "cpu" && value != "cuda")
    error->all(FLERR, "pair_style rhopot: device must be auto, cpu or cuda, got {}", value);
  device_ = value;
}

void PairRhopot::set_stretch(const std::string &value)
{
  const double number = utils::is_double(value) ? std::stod(value) : 0.0;
  if (!(number >= 1.0) || !std::isfinite(number))
    error->all(FLERR, "pair_style rhopot: stretch must be a factor of at least 1, got {}; 1.1 lets the box grow by 10 %",
               value);
  stretch_ = number;
}

// ---- pair_coeff -----------------------------------------------------------------------------------------------------------

void PairRhopot::coeff(int narg, char **arg)
{
  if (narg < 3 || std::strcmp(arg[0], "*") != 0 || std::strcmp(arg[1], "*") != 0)
    error->all(FLERR, "pair_coeff for rhopot must be: pair_coeff * * <model.pt> <element or NULL per atom type>");
  try {
    scale_ = energy_scale(update->unit_style);
  } catch (const std::runtime_error &reason) {
    error->all(FLERR, reason.what());
  }
  std::unique_ptr<rhopot::Model> model = load(arg[2]);
  std::vector<int64_t> species = species_of_types(*model, arg[2], narg - 3, arg + 3);

  warn_of_dropped_types(species);
  // Nothing has changed so far: a Python session that goes on after an error has the model of before.
  evaluator_.reset();
  model_ = std::move(model);
  species_of_type_ = std::move(species);
  has_warned_of_masses_ = false;
  if (!allocated) allocate();
  set_pairs();
  const rhopot::Task task{*this, *model_, species_of_type_, scale_, stretch_ > 0.0 ? stretch_ : model_->header().stretch};
  evaluator_ = rhopot::make_evaluator(lmp, task);
  print_mapping(arg[2]);
}

void PairRhopot::allocate()
{
  allocated = 1;
  const int n = atom->ntypes + 1;
  memory->create(setflag, n, n, "pair:setflag");
  memory->create(cutsq, n, n, "pair:cutsq");
}

std::unique_ptr<rhopot::Model> PairRhopot::load(const std::string &path)
{
  std::unique_ptr<rhopot::Model> model = rhopot::load_model(lmp, path, device_);
  if (stretch_ > 0.0 && model->header().kind != "global")
    error->all(FLERR,
               "pair_style rhopot: stretch must go with a model of kind 'global', got model '{}' of kind '{}'; "
               "leave the keyword out",
               path, model->header().kind);
  return model;
}

// Index of every type's element among the model's symbols, -1 for NULL.
std::vector<int64_t> PairRhopot::species_of_types(const rhopot::Model &model, const std::string &path, int narg, char **arg)
{
  const auto &symbols = model.header().symbols;
  if (narg != atom->ntypes)
    error->all(FLERR,
               "pair_coeff for rhopot must name one element (or NULL) for each of the {} atom types, got {}; "
               "model '{}' knows {}",
               atom->ntypes, narg, path, joined(symbols));
  std::vector<int64_t> species(atom->ntypes + 1, -1);
  for (int type = 1; type <= atom->ntypes; type++) {
    const std::string name = arg[type - 1];
    if (name == "NULL") continue;
    const auto found = std::find(symbols.begin(), symbols.end(), name);
    if (found == symbols.end())
      error->all(FLERR, "model '{}' does not know element {} (it knows {}); retrain or map the type to NULL", path, name,
                 joined(symbols));
    species[type] = found - symbols.begin();
  }
  if (std::all_of(species.begin(), species.end(), [](int64_t each) { return each < 0; }))
    error->all(FLERR, "pair_coeff for rhopot must map at least one atom type to an element, got only NULL");
  return species;
}

// Lines of pair_coeff add up for many styles of LAMMPS, for this one the last counts: types that it leaves out are named.
void PairRhopot::warn_of_dropped_types(const std::vector<int64_t> &species) const
{
  if (!allocated || comm->me != 0) return;
  std::vector<std::string> dropped;
  for (int type = 1; type <= atom->ntypes; type++)
    if (setflag[type][type] && species_of_type_[type] >= 0 && species[type] < 0)
      dropped.push_back(fmt::format("{} ({})", type, model_->header().symbols[species_of_type_[type]]));
  if (!dropped.empty())
    error->warning(FLERR,
                   "pair_coeff for rhopot replaces the one before: type {} is NULL from now on; name the elements of all "
                   "types in one line",
                   joined(dropped));
}

// A second `pair_style rhopot` comes here too. The loaded model has the settings of before: LAMMPS asks for pair_coeff again.
void PairRhopot::unset_pairs()
{
  if (!allocated) return;
  for (int i = 1; i <= atom->ntypes; i++)
    for (int j = 1; j <= atom->ntypes; j++) setflag[i][j] = 0;
}

// Pairs of this style. Under hybrid a NULL type belongs to the other styles; alone it simply feels nothing.
void PairRhopot::set_pairs()
{
  const bool alone = !utils::strmatch(force->pair_style, "^hybrid");
  int mapped = 0;
  for (int i = 1; i <= atom->ntypes; i++) {
    if (species_of_type_[i] >= 0) mapped++;
    for (int j = 1; j <= atom->ntypes; j++)
      setflag[i][j] = alone || (species_of_type_[i] >= 0 && species_of_type_[j] >= 0) ? 1 : 0;
  }
  if (alone && mapped < atom->ntypes && comm->me == 0)
    error->warning(FLERR, "pair style rhopot: atoms of types mapped to NULL feel no forces");
}

void PairRhopot::print_mapping(const std::string &path) const
{
  if (comm->me != 0) return;
  const rhopot::ModelHeader &header = model_->header();
  const std::string range = header.kind == "global" ? "global" : fmt::format("cutoff {} A", header.cutoff);
  std::string text = fmt::format("rhopot model {}: {}, {}, {}, {} member(s), device {}\n", path, header.family, header.dtype,
                                 range, header.members, model_->device());
  for (int type = 1; type <= atom->ntypes; type++) {
    const int64_t species = species_of_type_[type];
    text += fmt::format("  type {} -> {}\n", type, species < 0 ? "NULL" : header.symbols[species]);
  }
  utils::logmesg(lmp, text);
}

// ---- init -----------------------------------------------------------------------------------------------------------------

void PairRhopot::init_style()
{
  check_types();
  evaluator_->init();
  rhopot::Model::set_threads(comm->nthreads);
  compute_pair_ = !modify->get_compute_by_style("pair").empty();
}

// Here and not in pair_coeff, which may come before masses and labels.
void PairRhopot::check_types()
{
  std::vector<std::string> elements;
  for (const int64_t species : species_of_type_) elements.push_back(species < 0 ? "" : model_->header().symbols[species]);
  const std::string label = rhopot::contradicting_label(*atom, elements, "pair_coeff for rhopot");
  if (!label.empty()) error->all(FLERR, label);
  const std::string masses = rhopot::contradicting_masses(*atom, elements, "pair_coeff for rhopot");
  if (!masses.empty() && !has_warned_of_masses_ && comm->me == 0) error->warning(FLERR, masses);
  has_warned_of_masses_ = has_warned_of_masses_ || !masses.empty();
}

double PairRhopot::init_one(int i, int j)
{
  setflag[j][i] = setflag[i][j];
  return evaluator_->cutoff();
}

// ---- compute -------------------------------------------------------------------------------------------------------------

void PairRhopot::compute(int eflag, int vflag)
{
  ev_init(eflag, vflag);
  const rhopot::Request request = wanted();
  deviations_.done = request.deviations;
  grades_.done = request.grades;
  evaluator_->compute(request);
  if (request.members) finish_members();
}

int PairRhopot::pack_forward_comm(int n, int *list, double *buffer, int, int *)
{
  return evaluator_->pack_forward(n, list, buffer);
}

void PairRhopot::unpack_forward_comm(int n, int first, double *buffer)
{
  evaluator_->unpack_forward(n, first, buffer);
}

int PairRhopot::pack_reverse_comm(int n, int first, double *buffer)
{
  return evaluator_->pack_reverse(n, first, buffer);
}

void PairRhopot::unpack_reverse_comm(int n, int *list, double *buffer)
{
  evaluator_->unpack_reverse(n, list, buffer);
}

// ---- uncertainty ---------------------------------------------------------------------------------------------------------

rhopot::Request PairRhopot::wanted() const
{
  rhopot::Request request;
  request.grades = is_wanted(grades_);
  if (model_->header().members == 0) return request;
  request.deviations = is_wanted(deviations_);
  request.members = request.deviations || (compute_pair_ && eflag_global);
  return request;
}

bool PairRhopot::is_wanted(const Computed &numbers) const
{
  return numbers.trigger || std::any_of(std::begin(per_atom_), std::end(per_atom_), [&](const PerAtom &each) {
           return each.together == &numbers && each.always;
         });
}

void PairRhopot::finish_members()
{
  std::vector<double> totals = evaluator_->member_totals();
  const int n = static_cast<int>(totals.size());
  MPI_Allreduce(MPI_IN_PLACE, totals.data(), n, MPI_DOUBLE, MPI_SUM, world);
  total_deviation_ = comm->me == 0 ? rhopot::standard_deviation(totals.data(), n) : 0.0;
}

// `fix pair ... uncertainty 1` looks for the flag, and sets it before the steps it reads.
void *PairRhopot::extract(const char *name, int &dimension)
{
  dimension = 0;
  for (PerAtom &asked : per_atom_)
    if (std::string(asked.name) + "_flag" == name) {
      asked.always = asked.always_before;
      return &asked.together->trigger;
    }
  return nullptr;
}

// Asked for in the constructor of `fix pair`, before any compute, and again whenever it reads.
void *PairRhopot::extract_peratom(const char *name, int &columns)
{
  columns = 0;
  const auto asked = std::find_if(std::begin(per_atom_), std::end(per_atom_),
                                  [&](const PerAtom &each) { return each.name == std::string(name); });
  if (asked == std::end(per_atom_)) return nullptr;
  if (!evaluator_) error->all(FLERR, "pair style rhopot: {} needs a model; write pair_coeff before fix pair", name);
  require_known(name);
  if (asked->name == std::string("uncertainty")) announce_deviations();
  asked->always_before = asked->always;
  if (!asked->together->done) asked->always = true;
  return (evaluator_.get()->*asked->numbers)();
}

void PairRhopot::require_known(const std::string &name) const
{
  const rhopot::ModelHeader &header = model_->header();
  if (name == "extrapolation_grade" || name == "supported") {
    if (!header.extrapolation && header.kind == "local")
      error->all(FLERR,
                 "{} needs a model of kind 'local' that grades environments, this one of kind 'local' has no grades: its "
                 "training data have fewer than 20 atoms of an element, uncertainty.extrapolation was false, or it is of a "
                 "version before grades (it was written by rhopot {}); train it again with more atoms of each element and "
                 "uncertainty.extrapolation=true",
                 name, header.written_by);
    if (!header.extrapolation)
      error->all(FLERR,
                 "{} needs a model of kind 'local' that grades environments, this one of kind '{}' grades none; take a model "
                 "of kind 'local'",
                 name, header.kind);
    return;
  }
  require_member_forces(name);
  if (name == "force_error" && header.force_radii.empty())
    error->all(FLERR,
               "force_error needs a model whose force errors are calibrated, this one, written by rhopot {}, has no "
               "uncertainty.force_radii; train it again with this version and forces in the validation set",
               header.written_by);
}

void PairRhopot::require_member_forces(const std::string &name) const
{
  if (model_->header().members == 0)
    error->all(FLERR,
               "{} needs a model with members, this one has none; train it on data with energies and "
               "uncertainty.members above 0",
               name);
  if (!model_->has_member_forces())
    error->all(FLERR,
               "uncertainties of atoms need a model whose members have forces, this one of kind '{}' was written before they "
               "had; train it again, or use 'compute ID all pair rhopot' for the uncertainty of the total energy",
               model_->header().kind);
}

// Once: older versions gave the deviation of atomic energies, and an input may still halt at a limit for that.
void PairRhopot::announce_deviations()
{
  if (announced_ || comm->me != 0) return;
  announced_ = true;
  utils::logmesg(lmp,
                 "pair style rhopot: uncertainty of an atom is the standard deviation of the force on it ({}), not of "
                 "its energy\n",
                 scale_ == 1.0 ? "eV/A" : "kcal/mol/A");
}

double PairRhopot::memory_usage()
{
  return Pair::memory_usage() + (evaluator_ ? evaluator_->memory_usage() : 0.0);
}

extern "C" __attribute__((visibility("default"))) void *rhopot_create_pair(void *lmp)
{
  return new PairRhopot(static_cast<LAMMPS *>(lmp));
}
