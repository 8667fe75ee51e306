// fix ID group rhopot/metad cv.pt El1 El2 ... keyword values ...
//
// Metadynamics, walls and moving restraints on the collective variables of a file (../README.md lists the keywords). The bias acts
// in pre_reverse: what it adds to ghost atoms then goes to their owners with the pair style's forces.

#ifndef LMP_FIX_RHOPOT_METAD_H
#define LMP_FIX_RHOPOT_METAD_H

#include <memory>
#include <string>
#include <vector>

#include "../agreement.h"
#include "bias.h"
#include "fix.h"
#include "group_variable.h"
#include "plumed_files.h"
#include "settings.h"
#include "walkers.h"

namespace LAMMPS_NS {

class FixRhopotMetad : public Fix {
 public:
  FixRhopotMetad(LAMMPS *lmp, int narg, char **arg);
  ~FixRhopotMetad() override;
  FixRhopotMetad(const FixRhopotMetad &) = delete;
  FixRhopotMetad &operator=(const FixRhopotMetad &) = delete;

  int setmask() override;
  void init() override;
  void init_list(int id, NeighList *list) override;
  void setup_pre_force(int vflag) override;
  void setup_pre_reverse(int eflag, int vflag) override;
  void min_setup(int vflag) override;
  void pre_force(int vflag) override;
  void pre_reverse(int eflag, int vflag) override;
  void min_pre_reverse(int eflag, int vflag) override;
  void final_integrate() override;
  void end_of_step() override;
  double compute_scalar() override;
  double compute_vector(int i) override;
  void write_restart(FILE *file) override;
  void restart(char *buffer) override;
  double memory_usage() override;

 private:
  // the input
  std::string suffix() const;
  void compare_partitions();
  void check_elements() const;
  void warn_of_new_ids();
  void require_other_files(const FixRhopotMetad &other) const;

  // the files: once, at the start of the first run, when the step is known and a restart file was read
  void start_files();
  void start_colvar(bool continues, double now);
  int own_walker() const;
  std::vector<rhopot::Hill> hills_of_earlier_run();
  void check_start(const std::vector<rhopot::Hill> &hills) const;
  void print_start(size_t n_hills, size_t n_dropped, const std::string &kept) const;
  void write_colvar();
  void begin_colvar_again();

  // every step
  void compute_bias(int vflag);
  bool checks_uncertainty() const;
  void compare_with_restart_file();
  void warn_of_images();
  void check_finite() const;
  void check_uncertainty();
  void deposit();
  void hold(const rhopot::Hill &hill);
  void share(const rhopot::Hill &hill);
  size_t read_folder();    // how many hills are new
  void add_work();

  // Work that only the first rank does, such as files; all ranks stop together when it fails.
  template <typename Work> void on_first_rank(const Work &work)
  {
    const std::string failure = rhopot::attempt(world, [&] {
      if (is_first_rank()) work();
    });
    if (!failure.empty()) refuse(failure);
  }
  bool is_first_rank() const;
  [[noreturn]] void refuse(const std::string &reason) const;
  [[noreturn]] void stop_and_save(const std::string &reason);

  double time() const;    // ps

  double kj_per_mol_ = 1.0, ps_ = 1.0;    // of the run's units of energy and time
  rhopot::MetadSettings settings_;
  std::unique_ptr<rhopot::GroupVariable> variable_;
  std::unique_ptr<rhopot::HillSum> sum_;
  std::unique_ptr<rhopot::HillsFile> hills_file_;
  std::unique_ptr<rhopot::ColvarFile> colvar_file_;
  std::unique_ptr<rhopot::FolderReader> folder_;
  MPI_Comm roots_ = MPI_COMM_NULL;    // first ranks of the partitions
  NeighList *list_ = nullptr;

  std::string cv_name_;
  LAMMPS_NS::bigint n_atoms_ = 0;
  bool has_started_ = false, from_restart_file_ = false, has_warned_of_images_ = false;
  std::vector<rhopot::Hill> restored_, held_;    // from a restart file; of this step, which act from the next one on
  rhopot::Values values_, periods_;
  rhopot::BiasEnergies energies_;
  double work_ = 0.0;    // of the moving restraints
  bigint last_colvar_ = -1;    // step of the last line of COLVAR
  int64_t restored_centers_ = -1;    // of the variable when the restart file was written; -1: not to be compared
};

}    // namespace LAMMPS_NS

#endif
