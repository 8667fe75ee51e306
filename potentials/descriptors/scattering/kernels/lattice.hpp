// Grids as the kernels of transforms want them: radices and roots of unity of each length, layout, and work memory.
#pragma once

#include <array>
#include <cstdint>

#include "kernels.hpp"

namespace rhopot {

// The lattice of a grid of points for packs of `lanes` numbers; what it points to lives as long as the process.
Lattice lattice_of(const std::array<std::int64_t, 3>& points, std::int64_t lanes);

// Memory of the calling thread for a number of half spectra and for batches of lines; it holds what the last workspace wrote.
class Workspace {
public:
    Workspace(const Lattice& lattice, std::int64_t n_spectra);
    Split split(std::int64_t which) const { return {memory_ + which * size_, memory_ + which * size_ + imaginary_}; }
    double* scratch() const { return memory_ + n_spectra_ * size_; }

private:
    std::int64_t size_, imaginary_, n_spectra_;
    double* memory_;
};

}  // namespace rhopot
