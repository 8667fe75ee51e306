// The arguments of the symmetry functions, checked once, and the loops over centres around the kernels.
#pragma once

#include <string>
#include <vector>

#include "arguments.hpp"  // of the density engine
#include "grid.hpp"

namespace rhopot {

// See grid.hpp for shapes and meaning. All tensors are contiguous after construction.
struct SymmetryArguments {
    at::Tensor edge_vectors, first_edge, neighbour, centre, species, radial, angular;
    std::vector<std::int64_t> zeta, sign;
    double cutoff, width;
    std::string fade;
    std::int64_t n_species;

    // throws c10::Error with one sentence when an argument does not fit
    void check() const;

    std::int64_t n_edges() const { return edge_vectors.size(0); }
    std::int64_t n_centres() const { return centre.size(0); }

    template <class T> SymmetryGrid<T> grid() const {
        return {radial.const_data_ptr<T>(), angular.const_data_ptr<T>(), zeta.data(), sign.data(), int(radial.size(0)),
                int(angular.size(0)), int(zeta.size()), int(sign.size()), int(n_species),
                fade == "quintic" ? FadeKind::quintic : FadeKind::shifted_cosine, T(cutoff), T(width)};
    }
    template <class T> Graph<T> graph(const at::Tensor& tangents) const {
        return {edge_vectors.const_data_ptr<T>(),
                tangents.defined() ? tangents.const_data_ptr<T>() : nullptr,
                tangents.defined(),
                first_edge.const_data_ptr<std::int64_t>(),
                neighbour.const_data_ptr<std::int64_t>(),
                centre.const_data_ptr<std::int64_t>(),
                species.const_data_ptr<std::int64_t>()};
    }
    std::int64_t n_features() const;
    std::int64_t most_edges() const;
};

// G[C, F], or its derivative along tangents[E, 3]
at::Tensor symmetry_values(const SymmetryArguments& a, const at::Tensor& tangents = {});
// g[E, 3] = sum d[C, F] dG/dr, or its derivative along the tangents
at::Tensor symmetry_adjoint(const SymmetryArguments& a, const at::Tensor& incoming, const at::Tensor& tangents = {});
// G[C, F], dG[E, 3, F]
std::tuple<at::Tensor, at::Tensor> symmetry_jacobian(const SymmetryArguments& a);

}  // namespace rhopot
