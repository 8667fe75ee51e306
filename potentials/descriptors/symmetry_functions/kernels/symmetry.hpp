// The arguments of the symmetry functions, checked once, and the loops over centres around the kernels.
#pragma once

#include <string>
#include <vector>

#include "density/kernels/arguments.hpp"
#include "grid.hpp"

namespace rhopot {

constexpr const char* SYMMETRY_REFERENCE = "rhopot.potentials.descriptors.symmetry_functions.reference";

// See grid.hpp for shapes and meaning. All tensors are contiguous after construction.
struct SymmetryArguments : GraphTensors {
    at::Tensor radial, angular;
    std::vector<std::int64_t> zeta, sign;
    double cutoff = 0, width = 0;
    std::string fade;
    std::int64_t n_species = 0;

    // throws c10::Error with one sentence when an argument does not fit
    void check() const;

    template <class T> SymmetryGrid<T> grid() const {
        return {radial.const_data_ptr<T>(),
                angular.const_data_ptr<T>(),
                zeta.data(),
                sign.data(),
                int(radial.size(0)),
                int(angular.size(0)),
                int(zeta.size()),
                int(sign.size()),
                int(n_species),
                fade == "quintic" ? FadeKind::quintic : FadeKind::shifted_cosine,
                T(cutoff),
                T(width)};
    }
    std::int64_t n_features() const;

    template <class Self, class Visit> static void visit(Self& self, const Visit& visit) {
        GraphTensors::visit(self, visit);
        visit(self.radial);
        visit(self.angular);
        visit(self.zeta);
        visit(self.sign);
        visit(self.cutoff);
        visit(self.width);
        visit(self.fade);
        visit(self.n_species);
    }
};

// G[C, F], or its derivative along tangents[E, 3]
at::Tensor symmetry_values(const SymmetryArguments& a, const at::Tensor& tangents = {});
// g[E, 3] = sum d[C, F] dG/dr, or its derivative along the tangents
at::Tensor symmetry_adjoint(const SymmetryArguments& a, const at::Tensor& incoming, const at::Tensor& tangents = {});
// G[C, F], dG[E, 3, F]
std::tuple<at::Tensor, at::Tensor> symmetry_jacobian(const SymmetryArguments& a);

}  // namespace rhopot
