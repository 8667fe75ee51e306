// A model, evaluated on edges (local) or on a structure (global). This interface names neither torch nor LAMMPS: the
// pair style is compiled without the one, the files torch_*.cpp without the other.

#ifndef RHOPOT_MODEL_H
#define RHOPOT_MODEL_H

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace rhopot {

// Radius multiple sqrt(sigma^2 + floor^2) (eV/A) that 90% of the errors of forces on atoms of a species stay within.
struct ForceRadius {
  double multiple = 0.0, floor = 0.0;
};

// What rhopot.json inside the archive says.
struct ModelHeader {
  std::string family;                  // e.g. soap_gap
  std::string kind;                    // local: energies of centres from edges; global: the total energy of a structure
  std::string dtype;                   // float64 or float32; energies and gradients are float64 either way
  std::vector<std::string> symbols;    // species s stands for symbols[s]
  double cutoff = 0.0;                 // A; of a global model, how far it reaches
  int n_layers = 1;                    // message layers
  int members = 0;                     // K: member columns for the uncertainty
  std::vector<std::string> operators;  // custom operators that the file calls
  std::string written_by;              // version of rhopot
  double stretch = 0.0;                // of a global model: how much periodic edges may grow, unless a run asks for more
  std::vector<double> force_factors;   // calibration of the standard deviation of the members' forces on a species
  std::vector<ForceRadius> force_radii;    // of each species; none in files without them
  bool extrapolation = false;              // the model grades how far environments lie outside its training data
};

// A file whose bytes were checked (model_file.h).
struct ModelFile {
  std::string name;    // how messages call it
  std::string bytes;
  ModelHeader header;
};

// The surroundings of C centres: E edge vectors r_ij = r_j - r_i (A), sorted by centre; those of centre c are
// first_edge[c] ... first_edge[c+1]-1. Rows count the A atoms in `species`.
struct EdgeBatch {
  int64_t n_centres = 0, n_edges = 0, n_atoms = 0;
  const double *vectors = nullptr;         // [E,3]
  const int64_t *first_edge = nullptr;     // [C+1]
  const int64_t *neighbour = nullptr;      // [E] row of j
  const int64_t *centre = nullptr;         // [C] row of i
  const int64_t *species = nullptr;        // [A]
};

// A structure of N atoms. Rows of the cell are its vectors; those of axes that are not periodic mean nothing.
struct Structure {
  int64_t n_atoms = 0;
  const double *positions = nullptr;     // [N,3] A
  const int64_t *species = nullptr;      // [N]
  const double *cell = nullptr;          // [3,3] A
  const bool *pbc = nullptr;             // [3]
};

// Part `index` (from 0) of `count` parts of the work on a structure.
struct Share {
  int64_t index = 0, count = 1;
};

// Visible outside its library, so that another pair style can be linked against it.
class __attribute__((visibility("default"))) Model {
 public:
  // device: cpu, cuda:0, cuda:1, ... The model is tried out before the constructor returns. Throws std::runtime_error with one
  // sentence when this installation or this device cannot run it.
  Model(const ModelFile &file, const std::string &device);
  ~Model();
  Model(const Model &) = delete;
  Model &operator=(const Model &) = delete;

  const ModelHeader &header() const;
  std::string device() const;

  // GPUs that torch can use in this process; the first call opens torch's CUDA side where there is a driver.
  static int count_gpus();

  // Members, the first ones, whose forces make the standard deviation of a force: each costs a gradient of its own.
  static constexpr int FORCE_MEMBERS = 16;
  int force_members() const { return header().members < FORCE_MEMBERS ? header().members : FORCE_MEMBERS; }
  bool has_member_forces() const;    // global models written before members had forces: false

  // Kind local. energies[C*(1+K)] (eV), row by row; column 0 is the energy, 1...K the members (K = 0 unless `members`).
  // gradients[E*3] (eV/A): g = d(sum of column 0)/d(edge vector). member_gradients[K'*E*3], unless null (it needs
  // `members`): the same of columns 1...K', K' = force_members().
  void evaluate(const EdgeBatch &batch, bool members, double *energies, double *gradients,
                double *member_gradients = nullptr) const;

  // Kind local, of a model whose header has `extrapolation`: grades[C] of the centres, above 1 outside the training data.
  void grade(const EdgeBatch &batch, double *grades) const;

  // Kind global. What is chosen once per run and kept while atoms move and the box changes, so that energies are smooth; good
  // for periodic edges up to `stretch` (>= 1) times the structure's. Nothing but `evaluate_global` can read it.
  std::vector<double> prepare(const Structure &structure, double stretch) const;

  // Kind global: one share; those of all shares add up. energies[1+K] (eV) as above; by_positions[N*3] and by_cell[9] (eV/A):
  // derivatives of column 0 by positions at fixed cell, and by cell vectors at fixed positions. May be called side by side.
  void evaluate_global(const Structure &structure, const std::vector<double> &prepared, const Share &share, bool members,
                       double *energies, double *by_positions, double *by_cell) const;

  // Kind global: one share of dE_k/dr [K'*N*3] (eV/A) of the first K' = force_members() members, for models
  // with has_member_forces(). May be called side by side.
  void evaluate_members(const Structure &structure, const std::vector<double> &prepared, const Share &share,
                        double *by_positions) const;

  // Threads that `in_parallel` uses in this process; torch's operators use one each.
  static void set_threads(int n);

  // work(0) ... work(n-1), side by side as far as there are threads; the model may be evaluated in there. What one of them
  // throws is thrown here.
  static void in_parallel(int n, const std::function<void(int)> &work);

 private:
  void try_out() const;
  void try_out_edges() const;
  void try_out_global() const;

  struct Implementation;
  std::unique_ptr<Implementation> impl_;
};

}    // namespace rhopot

#endif
