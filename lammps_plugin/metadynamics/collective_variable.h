// Collective variables of a file, evaluated on the edges of this rank's centers. This interface names neither torch nor LAMMPS.

#ifndef RHOPOT_METADYNAMICS_COLLECTIVE_VARIABLE_H
#define RHOPOT_METADYNAMICS_COLLECTIVE_VARIABLE_H

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../model.h"

namespace rhopot {

// What rhopot.json inside a file of kind `cv` says (export/cv_card.py explains the fields).
struct CvHeader {
  std::vector<std::string> names, units;    // of each variable; units: A, radian or nothing
  std::vector<double> periods;    // 0 for none
  std::vector<std::string> symbols;    // species s stands for symbols[s]; none when no edges are read
  double cutoff = 0.0;    // A; 0: no edges are read
  int n_sums = 0;
  std::vector<int64_t> atoms;    // IDs of atoms whose positions are read
  std::vector<size_t> lists;    // how many of them each part of a combination has
  std::vector<std::string> operators;
  std::string written_by;
  std::string identity;    // CRC-32 of the file's records
};

struct CvFile {
  std::string name, bytes;
  CvHeader header;
};

// As read_model_file, for files of kind `cv`.
CvFile read_cv_file(std::string bytes, const std::string &name);

// In a step: `start`, `add` for each part of the centers, `finish` with the sums of all ranks, `pull_back`, then `gradients` of
// each part. What a part's batch points to must live until its gradients were taken.
class CollectiveVariable {
 public:
  // The file is tried out. Throws std::runtime_error with one sentence when this installation cannot run it.
  explicit CollectiveVariable(const CvFile &file);
  ~CollectiveVariable();

  const CvHeader &header() const;

  void start(int n_parts);

  // Contributions of one part's centers, summed into sums[n_sums]. Parts may be added side by side.
  void add(int part, const EdgeBatch &batch, double *sums);

  // positions [k,3] (A) of the header's atoms.
  std::vector<double> finish(const std::vector<double> &sums, const std::vector<double> &positions);

  // by_values: dV/ds. Returns dV/d(positions) [k,3]; gradients() then gives dV/d(edge vectors) [E,3] of each part.
  std::vector<double> pull_back(const std::vector<double> &by_values);
  void gradients(int part, double *target) const;

 private:
  struct Implementation;
  std::unique_ptr<Implementation> impl_;
};

}    // namespace rhopot

#endif
