// pair_style rhopot [device auto|cpu|cuda] [stretch X]
// pair_coeff * * model.pt El1 El2 NULL ...

#ifndef LMP_PAIR_RHOPOT_H
#define LMP_PAIR_RHOPOT_H

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "evaluator.h"
#include "model.h"
#include "pair.h"

namespace LAMMPS_NS {

class PairRhopot : public Pair {
 public:
  PairRhopot(LAMMPS *lmp);
  ~PairRhopot() override;
  PairRhopot(const PairRhopot &) = delete;
  PairRhopot &operator=(const PairRhopot &) = delete;

  void settings(int narg, char **arg) override;
  void coeff(int narg, char **arg) override;
  void init_style() override;
  double init_one(int i, int j) override;
  void compute(int eflag, int vflag) override;
  int pack_forward_comm(int n, int *list, double *buffer, int pbc_flag, int *pbc) override;
  void unpack_forward_comm(int n, int first, double *buffer) override;
  int pack_reverse_comm(int n, int first, double *buffer) override;
  void unpack_reverse_comm(int n, int *list, double *buffer) override;
  void *extract(const char *name, int &dimension) override;
  void *extract_peratom(const char *name, int &columns) override;
  double memory_usage() override;

 private:
  // settings
  void set_device(const std::string &value);
  void set_stretch(const std::string &value);

  // pair_coeff
  void allocate();
  std::unique_ptr<rhopot::Model> load(const std::string &path);
  std::vector<int64_t> species_of_types(const rhopot::Model &model, const std::string &path, int narg, char **arg);
  void warn_of_dropped_types(const std::vector<int64_t> &species) const;
  void unset_pairs();
  void set_pairs();
  void print_mapping(const std::string &path) const;
  void check_types();

  // uncertainty: members and grades are evaluated only in the time steps that ask for them
  rhopot::Request wanted() const;
  void finish_members();

  std::string device_ = "auto";
  double stretch_ = 0.0;                    // 0: not given
  double scale_ = 1.0;                      // eV in LAMMPS' energy unit
  std::unique_ptr<rhopot::Model> model_;
  std::vector<int64_t> species_of_type_;    // [types+1], -1: NULL
  bool has_warned_of_masses_ = false;       // since the last pair_coeff
  std::unique_ptr<rhopot::Evaluator> evaluator_;    // how models of this one's kind are run

  // What `fix pair` reads for every atom. Of several that are computed together the steps of each are those of all.
  struct Computed {
    int trigger = 0;      // set by `fix pair` in the steps that want them
    bool done = false;    // by the last compute()
  };
  struct PerAtom {
    const char *name;                                      // what `fix pair` calls it
    Computed *together;                                    // what it is computed with
    double *(rhopot::Evaluator::*numbers)();
    bool always = false, always_before = false;    // a `fix pair` without trigger reads it at every step; before the last
                                                   // asked for it
  };
  Computed deviations_, grades_;
  PerAtom per_atom_[4] = {{"uncertainty", &deviations_, &rhopot::Evaluator::atom_deviations},
                          {"force_error", &deviations_, &rhopot::Evaluator::atom_radii},
                          {"extrapolation_grade", &grades_, &rhopot::Evaluator::atom_grades},
                          {"supported", &grades_, &rhopot::Evaluator::atom_supported}};
  bool is_wanted(const Computed &numbers) const;
  void require_known(const std::string &name) const;
  bool compute_pair_ = false;        // a `compute pair` reads the total
  void require_member_forces(const std::string &name) const;
  void announce_deviations();

  bool announced_ = false;
  double total_deviation_ = 0.0;     // pvector: the total's on rank 0, 0 elsewhere (LAMMPS sums over ranks)
};

}    // namespace LAMMPS_NS

#endif
