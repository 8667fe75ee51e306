#include "symmetry.hpp"

#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>

#include <cmath>

namespace rhopot {

namespace {

constexpr std::int64_t ZETA_LIMIT = 64;

// work(kernels, graph, grid, begin, end, workspace) over all centres, in the float type of the arguments
template <class Work> void on_graph(const SymmetryArguments& a, const at::Tensor& tangents, const Work& work) {
    AT_DISPATCH_FLOATING_TYPES(a.edge_vectors.scalar_type(), "rhopot", [&] {
        const auto& k = symmetry_kernels<scalar_t>();
        const auto graph = a.graph<scalar_t>(tangents);
        const auto grid = a.grid<scalar_t>();
        const std::size_t size = k.workspace(grid, a.most_edges());
        over_centres<scalar_t>(a.n_centres(), size, [&](std::int64_t begin, std::int64_t end, scalar_t* workspace) {
            work(k, graph, grid, begin, end, workspace);
        });
    });
}

}  // namespace

void SymmetryArguments::check() const {
    TORCH_CHECK_VALUE(n_species >= 1, "n_species must be positive, got ", n_species);
    GraphTensors::check(n_species, "n_species", SYMMETRY_REFERENCE);
    const auto type = edge_vectors.scalar_type();
    check_float(radial, "radial", type, SYMMETRY_REFERENCE);
    check_float(angular, "angular", type, SYMMETRY_REFERENCE);
    TORCH_CHECK_VALUE(radial.dim() == 2 && radial.size(1) == 2, "radial must be of shape (N2, 2), got ", radial.sizes());
    TORCH_CHECK_VALUE(angular.dim() == 1, "angular must be one-dimensional, got ", angular.sizes());
    for (const std::int64_t z : zeta) {
        TORCH_CHECK_VALUE(z >= 1 && z <= ZETA_LIMIT, "zeta must lie in [1, ", ZETA_LIMIT, "], got ", z);
    }
    for (const std::int64_t s : sign) TORCH_CHECK_VALUE(s == 1 || s == -1, "sign must be +1 or -1, got ", s);
    TORCH_CHECK_VALUE(std::isfinite(cutoff) && cutoff > 0, "cutoff must be positive, got ", cutoff);
    TORCH_CHECK_VALUE(width > 0 && width <= cutoff, "cutoff_width must lie in (0, cutoff], got ", width);
    TORCH_CHECK_VALUE(fade == "quintic" || fade == "shifted_cosine", "cutoff_function must be quintic or shifted_cosine, got ",
                      fade);
}

std::int64_t SymmetryArguments::n_features() const {
    const std::int64_t n_angular = angular.size(0) * std::int64_t(zeta.size() * sign.size());
    return n_species * radial.size(0) + n_species * (n_species + 1) / 2 * n_angular;
}

at::Tensor symmetry_values(const SymmetryArguments& a, const at::Tensor& tangents) {
    at::Tensor features = at::empty({a.n_centres(), a.n_features()}, a.edge_vectors.options());
    on_graph(a, contiguous(tangents), [&](auto& k, auto& graph, auto& grid, auto begin, auto end, auto* workspace) {
        k.values(graph, grid, begin, end, out(features, workspace), workspace);
    });
    return features;
}

at::Tensor symmetry_adjoint(const SymmetryArguments& a, const at::Tensor& incoming, const at::Tensor& tangents) {
    at::Tensor gradient = at::empty({a.n_edges(), 3}, a.edge_vectors.options());
    const at::Tensor d = incoming.contiguous();
    on_graph(a, contiguous(tangents), [&](auto& k, auto& graph, auto& grid, auto begin, auto end, auto* workspace) {
        k.adjoint(graph, grid, begin, end, in(d, workspace), out(gradient, workspace), workspace);
    });
    return gradient;
}

std::tuple<at::Tensor, at::Tensor> symmetry_jacobian(const SymmetryArguments& a) {
    at::Tensor features = at::empty({a.n_centres(), a.n_features()}, a.edge_vectors.options());
    at::Tensor derivatives = at::empty({a.n_edges(), 3, a.n_features()}, a.edge_vectors.options());
    on_graph(a, {}, [&](auto& k, auto& graph, auto& grid, auto begin, auto end, auto* workspace) {
        k.jacobian(graph, grid, begin, end, out(features, workspace), out(derivatives, workspace), workspace);
    });
    return {features, derivatives};
}

}  // namespace rhopot
