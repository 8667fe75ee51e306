// HILLS and COLVAR in PLUMED's format and units: ps, kJ/mol, nm for lengths.
//
// HILLS holds of a well-tempered hill its height times biasfactor/(biasfactor - 1), as PLUMED writes it: the free energy is then
// minus the sum of the Gaussians of the file. Lines are written whole and at once, so that a killed run leaves whole lines and
// at most a part of the last, which is dropped.

#ifndef RHOPOT_METADYNAMICS_PLUMED_FILES_H
#define RHOPOT_METADYNAMICS_PLUMED_FILES_H

#include <cstdint>
#include <string>
#include <vector>

#include "bias.h"
#include "collective_variable.h"

namespace rhopot {

// How numbers of the run become those of the files.
struct PlumedUnits {
  double energy = 1.0;    // kJ/mol in the run's energy unit
  Values lengths;    // of each variable: 0.1 (nm in A) or 1

  static PlumedUnits of(const CvHeader &header, double kj_per_mol);
};

class HillsFile {
 public:
  // biasfactor: of well-tempered hills, else 0.
  HillsFile(std::string path, const CvHeader &header, double kj_per_mol, double biasfactor);

  // All hills in the file, as those of `walker`; none when there is no file. Throws std::runtime_error with one sentence for a file
  // of another collective variable, another bias factor, or one that cannot be understood.
  std::vector<Hill> read(int walker) const;

  // Hills in whole lines from byte `offset` on, which is moved behind them; for files that others write.
  std::vector<Hill> read_from(long &offset, int walker) const;

  void rewrite(const std::vector<Hill> &hills) const;    // in one step: the old file stays until the new one is complete
  void append(const Hill &hill) const;

  bool exists() const;
  long size() const;
  uint64_t file_number() const;    // another one after the file was replaced
  const std::string &path() const { return path_; }

 private:
  std::string head() const;
  std::string line(const Hill &hill) const;
  Hill parse(const std::string &text, int walker) const;
  void check_head(const std::string &text) const;
  [[noreturn]] void refuse(const std::string &reason) const;

  std::string path_;
  CvHeader header_;
  PlumedUnits units_;
  double biasfactor_;
};

// A row of COLVAR: the values, then energies with the names given at the start.
class ColvarFile {
 public:
  ColvarFile(std::string path, const CvHeader &header, double kj_per_mol, std::vector<std::string> energies);

  // Throws std::runtime_error with one sentence when a file is there that does not have this one's head.
  void require_own() const;

  // Keeps the rows up to a time (ps) of a file that is there. Returns the numbers of the last one, as they stand there.
  Values keep_until(double time) const;
  void append(double time, const Values &values, const Values &energies) const;
  const std::string &path() const { return path_; }

 private:
  std::string head() const;

  std::string path_;
  CvHeader header_;
  PlumedUnits units_;
  std::vector<std::string> energies_;
};

// Moves a file that is there out of the way (or copies it), to bck.N.NAME beside it as PLUMED does; returns the new name, or nothing.
std::string keep_older(const std::string &path, bool copies = false);

}    // namespace rhopot

#endif
