#include "layered_evaluator.h"

#include <mpi.h>

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "neigh_list.h"
#include "pair.h"

using namespace LAMMPS_NS;

namespace rhopot {
namespace {

// The exchange that operators of this thread use, for as long as this lives.
class Using {
 public:
  explicit Using(FeatureExchange &exchange) : before_(use_exchange(&exchange)) {}
  ~Using() { use_exchange(before_); }
  Using(const Using &) = delete;
  Using &operator=(const Using &) = delete;

 private:
  FeatureExchange *before_;
};

}    // namespace

void LayeredEvaluator::init()
{
  LocalEvaluator::init();
  has_printed_ = false;
}

// Energy flows over several edges from atom to atom: one edge's part of the virial is not that of its neighbour.
void LayeredEvaluator::compute(const Request &request)
{
  if (task_.pair.cvflag_atom)
    error->all(FLERR,
               "pair style rhopot: centroid virials of atoms must be asked of a model without messages between atoms, this one "
               "has {} layers of them; take 'compute stress/atom' for stresses, and another model for heat fluxes",
               task_.model.header().n_layers);
  exchange_.forget();
  {
    const Using exchange(exchange_);
    LocalEvaluator::compute(request);
  }
  if (!has_printed_) print_volume();
}

std::vector<CentreRange> LayeredEvaluator::ranges() const
{
  return {{0, task_.pair.list->inum}};
}

void LayeredEvaluator::print_volume()
{
  has_printed_ = true;
  bigint total = atom->nghost;
  MPI_Allreduce(MPI_IN_PLACE, &total, 1, MPI_LMP_BIGINT, MPI_SUM, world);
  int most = atom->nghost;
  MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_INT, MPI_MAX, world);
  if (comm->me != 0 || exchange_.times() == 0) return;
  const double bytes = static_cast<double>(exchange_.bytes()) / exchange_.times();
  utils::logmesg(lmp,
                 "pair style rhopot: {} layers of messages; in a step {} exchange(s) of {} bytes for each ghost atom, and as "
                 "many back for forces; an exchange: {} ghosts, {:.1f} kB, {:.1f} kB of one rank at most\n",
                 task_.model.header().n_layers, exchange_.times(), bytes, total, 1e-3 * bytes * total, 1e-3 * bytes * most);
}

// ---- communication: rows of features, or what all local models send -------------------------------------------------------

int LayeredEvaluator::pack_forward(int n, const int *list, double *buffer)
{
  return exchange_.is_active() ? exchange_.pack_forward(n, list, buffer) : LocalEvaluator::pack_forward(n, list, buffer);
}

void LayeredEvaluator::unpack_forward(int n, int first, const double *buffer)
{
  if (exchange_.is_active())
    exchange_.unpack_forward(n, first, buffer);
  else
    LocalEvaluator::unpack_forward(n, first, buffer);
}

int LayeredEvaluator::pack_reverse(int n, int first, double *buffer)
{
  return exchange_.is_active() ? exchange_.pack_reverse(n, first, buffer) : LocalEvaluator::pack_reverse(n, first, buffer);
}

void LayeredEvaluator::unpack_reverse(int n, const int *list, const double *buffer)
{
  if (exchange_.is_active())
    exchange_.unpack_reverse(n, list, buffer);
  else
    LocalEvaluator::unpack_reverse(n, list, buffer);
}

}    // namespace rhopot
