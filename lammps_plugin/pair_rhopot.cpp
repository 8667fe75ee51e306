// The LAMMPS side of a model: one short function per hook.
//
// With g = dE/d(edge vector): f_centre += g, f_neighbour -= g, virial -= r (x) g. A neighbour may be a ghost: LAMMPS sends
// the ghosts' forces home itself (newton on). Everything leaves here in LAMMPS' units, everything before is eV and A.

#include "pair_rhopot.h"

#include <mpi.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "modify.h"
#include "neigh_list.h"
#include "neighbor.h"
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

// Around the members' own mean, over K (not K - 1): the same number as in Python.
double standard_deviation(const double *values, int n)
{
  double mean = 0.0, square = 0.0;
  for (int k = 0; k < n; k++) mean += values[k] / n;
  for (int k = 0; k < n; k++) square += (values[k] - mean) * (values[k] - mean) / n;
  return std::sqrt(square);
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
  nextra = 1;    // `compute pair`: standard deviation of the members' totals
  pvector = &total_deviation_;
  total_deviation_ = std::nan("");
}

PairRhopot::~PairRhopot()
{
  pvector = nullptr;
  memory->destroy(deviation_);
  if (!allocated) return;
  memory->destroy(setflag);
  memory->destroy(cutsq);
}

// ---- settings -------------------------------------------------------------------------------------------------------------

void PairRhopot::settings(int narg, char **arg)
{
  try {
    scale_ = energy_scale(update->unit_style);
  } catch (const std::runtime_error &reason) {
    error->all(FLERR, reason.what());
  }
  device_ = "auto";
  for (int i = 0; i < narg; i += 2) {
    if (std::strcmp(arg[i], "device") != 0)
      error->all(FLERR, "pair_style rhopot: keyword must be device, got {}; the model goes into pair_coeff", arg[i]);
    const std::string value = i + 1 < narg ? arg[i + 1] : "nothing";
    if (value != "auto" && value != "cpu" && value != "cuda")
      error->all(FLERR, "pair_style rhopot: device must be auto, cpu or cuda, got {}", value);
    device_ = value;
  }
}

// ---- pair_coeff -----------------------------------------------------------------------------------------------------------

void PairRhopot::coeff(int narg, char **arg)
{
  if (narg < 3 || std::strcmp(arg[0], "*") != 0 || std::strcmp(arg[1], "*") != 0)
    error->all(FLERR, "pair_coeff for rhopot must be: pair_coeff * * <model.pt> <element or NULL per atom type>");
  if (!allocated) allocate();
  load(arg[2]);
  map_types(arg[2], narg - 3, arg + 3);
  set_pairs();
  print_mapping(arg[2]);
}

void PairRhopot::allocate()
{
  allocated = 1;
  const int n = atom->ntypes + 1;
  memory->create(setflag, n, n, "pair:setflag");
  memory->create(cutsq, n, n, "pair:cutsq");
}

// One rank reads, all get the same bytes: they accept or refuse the file together.
std::string PairRhopot::read_on_first_rank(const std::string &path)
{
  std::string bytes;
  bigint size = -1;
  if (comm->me == 0) {
    std::string found = utils::get_potential_file_path(path);
    std::ifstream file(found.empty() ? path : found, std::ios::binary);
    std::ostringstream content;
    if (file && content << file.rdbuf()) {
      bytes = content.str();
      size = static_cast<bigint>(bytes.size());
    }
  }
  MPI_Bcast(&size, 1, MPI_LMP_BIGINT, 0, world);
  if (size < 0) error->all(FLERR, "model '{}' cannot be read (no such file, or empty)", path);
  bytes.resize(size);
  constexpr bigint CHUNK = 1 << 30;
  for (bigint start = 0; start < size; start += CHUNK)
    MPI_Bcast(bytes.data() + start, static_cast<int>(std::min(CHUNK, size - start)), MPI_CHAR, 0, world);
  return bytes;
}

void PairRhopot::load(const std::string &path)
{
  const std::string bytes = read_on_first_rank(path);
  try {
    model_ = std::make_unique<rhopot::Model>(bytes, path, device_);
  } catch (const std::exception &reason) {
    error->all(FLERR, std::string("pair style rhopot: ") + reason.what());
  }
}

void PairRhopot::map_types(const std::string &path, int narg, char **arg)
{
  const auto &symbols = model_->header().symbols;
  if (narg != atom->ntypes)
    error->all(FLERR,
               "pair_coeff for rhopot must name one element (or NULL) for each of the {} atom types, got {}; "
               "model '{}' knows {}",
               atom->ntypes, narg, path, joined(symbols));
  species_of_type_.assign(atom->ntypes + 1, -1);
  for (int type = 1; type <= atom->ntypes; type++) {
    const std::string name = arg[type - 1];
    if (name == "NULL") continue;
    const auto found = std::find(symbols.begin(), symbols.end(), name);
    if (found == symbols.end())
      error->all(FLERR, "model '{}' does not know element {} (it knows {}); retrain or map the type to NULL", path, name,
                 joined(symbols));
    species_of_type_[type] = found - symbols.begin();
  }
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
  if (mapped == 0) error->all(FLERR, "pair_coeff for rhopot must map at least one atom type to an element, got only NULL");
  if (alone && mapped < atom->ntypes && comm->me == 0)
    error->warning(FLERR, "pair style rhopot: atoms of types mapped to NULL feel no forces");
}

void PairRhopot::print_mapping(const std::string &path) const
{
  if (comm->me != 0) return;
  const rhopot::ModelHeader &header = model_->header();
  std::string text = fmt::format("rhopot model {}: {}, {}, cutoff {} A, {} member(s), device {}\n", path, header.family,
                                 header.dtype, header.cutoff, header.members, model_->device());
  for (int type = 1; type <= atom->ntypes; type++) {
    const int64_t species = species_of_type_[type];
    text += fmt::format("  type {} -> {}\n", type, species < 0 ? "NULL" : header.symbols[species]);
  }
  utils::logmesg(lmp, text);
}

// ---- init -----------------------------------------------------------------------------------------------------------------

void PairRhopot::init_style()
{
  if (!force->newton_pair)
    error->all(FLERR, "pair style rhopot needs newton on for pairs, got off; write 'newton on' before the box is created");
  check_special_bonds();
  if (neighbor->nex_type + neighbor->nex_group + neighbor->nex_mol > 0 && comm->me == 0)
    error->warning(FLERR, "pair style rhopot: 'neigh_modify exclude' removes neighbours the model was trained with");
  neighbor->add_request(this, NeighConst::REQ_FULL);
  rhopot::Model::set_threads(comm->nthreads);
  compute_pair_ = !modify->get_compute_by_style("pair").empty();
}

// Molecular systems by default drop bonded pairs from the neighbour list.
void PairRhopot::check_special_bonds() const
{
  if (atom->molecular == Atom::ATOMIC || force->kspace) return;
  for (int k = 1; k <= 3; k++)
    if (force->special_lj[k] == 0.0 && force->special_coul[k] == 0.0)
      error->all(FLERR,
                 "pair style rhopot needs bonded neighbours too, but special_bonds removes the 1-{} ones; "
                 "write 'special_bonds lj/coul 1 1 1'",
                 k + 1);
}

double PairRhopot::init_one(int i, int j)
{
  setflag[j][i] = setflag[i][j];
  return model_->header().cutoff;
}

// ---- compute --------------------------------------------------------------------------------------------------------------

// Threads evaluate ranges of centres side by side; their results are added one after the other in the order of the list, so
// that the numbers do not depend on which thread was faster.
void PairRhopot::compute(int eflag, int vflag)
{
  ev_init(eflag, vflag);
  const bool members = members_wanted();
  const int columns = members ? 1 + model_->header().members : 1;
  if (members) start_members();
  start_workers();
  const int n_workers = static_cast<int>(workers_.size());
  const std::vector<rhopot::CentreRange> ranges = rhopot::cut(*list, n_workers);
  for (int first = 0; first < static_cast<int>(ranges.size()); first += n_workers) {
    const int n = std::min(n_workers, static_cast<int>(ranges.size()) - first);
    try {
      rhopot::Model::in_parallel(n, [&](int k) { evaluate(workers_[k], ranges[first + k], members); });
    } catch (const std::exception &reason) {
      stop_here(reason.what());
    }
    for (int k = 0; k < n; k++) {
      add_forces(workers_[k]);
      if (eflag_either) add_energies(workers_[k], columns);
      if (vflag_either) add_virial(workers_[k]);
      if (members) add_members(workers_[k], columns);
    }
  }
  have_members_ = members;
  if (members) finish_members();
}

void PairRhopot::start_workers()
{
  const int n_atoms = atom->nlocal + atom->nghost;
  species_.resize(n_atoms);
  for (int i = 0; i < n_atoms; i++) species_[i] = species_of_type_[atom->type[i]];
  workers_.resize(model_->device() == "cpu" ? std::max(comm->nthreads, 1) : 1);
  for (Worker &worker : workers_) worker.graph.start(*list, *atom, species_, model_->header().cutoff);
}

void PairRhopot::evaluate(Worker &worker, const rhopot::CentreRange &range, bool members) const
{
  worker.graph.fill(range);
  const rhopot::EdgeBatch batch = worker.graph.batch();
  const int columns = members ? 1 + model_->header().members : 1;
  worker.energies.resize(batch.n_centres * columns);
  worker.gradients.resize(3 * batch.n_edges);
  if (batch.n_centres == 0) return;
  model_->evaluate(batch, members, worker.energies.data(), worker.gradients.data());
  double sum = 0.0;    // not finite as soon as one number is not
  for (double &energy : worker.energies) sum += (energy *= scale_);
  for (double &g : worker.gradients) sum += (g *= scale_);
  if (!std::isfinite(sum))
    throw std::runtime_error("energies and forces must be finite, got NaN or infinity; look for atoms in one place");
}

// An error of one rank. LAMMPS writes it to this rank's screen, and only the first rank has one.
void PairRhopot::stop_here(const std::string &reason)
{
  const std::string text = "pair style rhopot: " + reason;
  if (comm->me != 0) std::fprintf(stderr, "ERROR on proc %d: %s\n", comm->me, text.c_str());
  error->one(FLERR, text);
}

void PairRhopot::add_energies(const Worker &worker, int columns)
{
  const rhopot::EdgeBatch batch = worker.graph.batch();
  for (int64_t c = 0; c < batch.n_centres; c++) {
    const double energy = worker.energies[c * columns];
    if (eflag_global) eng_vdwl += energy;
    if (eflag_atom) eatom[batch.centre[c]] += energy;
  }
}

void PairRhopot::add_forces(const Worker &worker)
{
  const rhopot::EdgeBatch batch = worker.graph.batch();
  double **const f = atom->f;
  for (int64_t c = 0; c < batch.n_centres; c++) {
    double *const fi = f[batch.centre[c]];
    for (int64_t e = batch.first_edge[c]; e < batch.first_edge[c + 1]; e++) {
      const double *const g = &worker.gradients[3 * e];
      double *const fj = f[batch.neighbour[e]];
      for (int a = 0; a < 3; a++) {
        fi[a] += g[a];
        fj[a] -= g[a];
      }
    }
  }
}

// Component ab of an edge's virial is -r_a g_b. Global and centroid: as it is, the centroid's whole on the neighbour's row
// (the energy of the centre changes by g . v_j, and heat flows along r). Per atom: symmetric, half on each end.
void PairRhopot::add_virial(const Worker &worker)
{
  const rhopot::EdgeBatch batch = worker.graph.batch();
  constexpr int A[9] = {0, 1, 2, 0, 0, 1, 1, 2, 2}, B[9] = {0, 1, 2, 1, 2, 2, 0, 0, 1};    // xx yy zz xy xz yz yx zx zy
  for (int64_t c = 0; c < batch.n_centres; c++) {
    const int64_t i = batch.centre[c];
    for (int64_t e = batch.first_edge[c]; e < batch.first_edge[c + 1]; e++) {
      const int64_t j = batch.neighbour[e];
      const double *const r = batch.vectors + 3 * e;
      const double *const g = &worker.gradients[3 * e];
      for (int k = 0; k < 9; k++) {
        const double w = -r[A[k]] * g[B[k]];
        const int k6 = k < 6 ? k : k - 3;    // the transposed component
        const double share = k < 3 ? w : 0.5 * w;
        if (vflag_global) virial[k6] += share;
        if (vflag_atom) {
          vatom[i][k6] += 0.5 * share;
          vatom[j][k6] += 0.5 * share;
        }
        if (cvflag_atom) cvatom[j][k] += w;
      }
    }
  }
}

// ---- uncertainty ----------------------------------------------------------------------------------------------------------

bool PairRhopot::members_wanted() const
{
  if (model_->header().members == 0) return false;
  return trigger_ || always_ || (compute_pair_ && eflag_global);
}

void PairRhopot::start_members()
{
  totals_.assign(model_->header().members, 0.0);
  if (atom->nmax > n_deviation_) {
    n_deviation_ = atom->nmax;
    memory->grow(deviation_, n_deviation_, "pair:deviation");
  }
  std::fill_n(deviation_, n_deviation_, 0.0);
}

void PairRhopot::add_members(const Worker &worker, int columns)
{
  const rhopot::EdgeBatch batch = worker.graph.batch();
  for (int64_t c = 0; c < batch.n_centres; c++) {
    const double *const members = &worker.energies[c * columns + 1];
    for (int k = 0; k < columns - 1; k++) totals_[k] += members[k];
    deviation_[batch.centre[c]] = standard_deviation(members, columns - 1);
  }
}

void PairRhopot::finish_members()
{
  const int n = static_cast<int>(totals_.size());
  MPI_Allreduce(MPI_IN_PLACE, totals_.data(), n, MPI_DOUBLE, MPI_SUM, world);
  total_deviation_ = comm->me == 0 ? standard_deviation(totals_.data(), n) : 0.0;
}

// `fix pair ... uncertainty 1` looks for the flag, and sets it before the steps it reads.
void *PairRhopot::extract(const char *name, int &dimension)
{
  dimension = 0;
  if (std::strcmp(name, "uncertainty_flag") != 0) return nullptr;
  always_ = always_before_;
  return &trigger_;
}

// Asked for in the constructor of `fix pair`, before any compute, and again whenever it reads.
void *PairRhopot::extract_peratom(const char *name, int &columns)
{
  columns = 0;
  if (std::strcmp(name, "uncertainty") != 0) return nullptr;
  if (model_ && model_->header().members == 0)
    error->all(FLERR, "uncertainty needs a model with members, this one has none; train with uncertainty.members=20");
  always_before_ = always_;
  if (!have_members_) always_ = true;
  if (atom->nmax > n_deviation_) start_members();
  return deviation_;
}

double PairRhopot::memory_usage()
{
  double bytes = Pair::memory_usage() + sizeof(double) * n_deviation_ + sizeof(int64_t) * species_.capacity();
  for (const Worker &worker : workers_)
    bytes += worker.graph.memory_usage() + sizeof(double) * (worker.energies.capacity() + worker.gradients.capacity());
  return bytes;
}

extern "C" __attribute__((visibility("default"))) void *rhopot_create_pair(void *lmp)
{
  return new PairRhopot(static_cast<LAMMPS *>(lmp));
}
