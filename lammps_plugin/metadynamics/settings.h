// What the line `fix ID group rhopot/metad ...` says.

#ifndef RHOPOT_METADYNAMICS_SETTINGS_H
#define RHOPOT_METADYNAMICS_SETTINGS_H

#include <string>
#include <vector>

#include "bias.h"
#include "collective_variable.h"

namespace rhopot {

enum class Walkers { ONE, PARTITIONS, FOLDER };

struct MetadSettings {
  std::vector<std::string> elements;    // of the atom types; NULL for those that are no part of the variable
  int pace = 0;                         // steps from hill to hill; 0: no hills
  double height = 0.0;                  // in the run's energy unit
  Values sigma;
  double biasfactor = 0.0, temperature = 0.0;    // 0: not well-tempered
  std::vector<GridAxis> grid;
  std::vector<Wall> walls;
  std::vector<MovingRestraint> moving;
  std::string hills = "HILLS", colvar = "COLVAR";
  int colvar_every = 0;
  bool restart = false;
  Walkers walkers = Walkers::ONE;
  std::string folder;
  int walker = 0, n_walkers = 1;    // of a folder
  double stop_uncertainty = 0.0;    // 0: none
};

// words: what follows the file. Throws std::runtime_error with one sentence.
MetadSettings read_settings(const std::vector<std::string> &words, const CvHeader &header, int n_types);

}    // namespace rhopot

#endif
