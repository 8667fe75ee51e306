#include "symmetry.hpp"

#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>

#include <cmath>
#include <cstring>

namespace rhopot {

#define RHOPOT_DECLARE(variant)                           \
    namespace variant {                                   \
    extern const SymmetryKernels<double> symmetry_double; \
    extern const SymmetryKernels<float> symmetry_float;   \
    }
RHOPOT_DECLARE(baseline)
#ifdef RHOPOT_X86_VARIANTS
RHOPOT_DECLARE(v3)
RHOPOT_DECLARE(v4)
#endif

namespace {

constexpr std::int64_t ZETA_LIMIT = 64;

void check_float(const at::Tensor& tensor, const char* name, at::ScalarType type) {
    TORCH_CHECK_VALUE(tensor.device().is_cpu(), name, " must be on the CPU, got ", tensor.device(),
                      "; use rhopot.potentials.descriptors.symmetry_functions.reference on other devices");
    TORCH_CHECK_TYPE(tensor.scalar_type() == type, name, " must have the dtype of edge_vectors (", type, "), got ",
                     tensor.scalar_type(), "; cast one of them");
}

void check_offsets(const at::Tensor& first_edge, std::int64_t n_centres, std::int64_t n_edges) {
    check_index(first_edge, "first_edge", n_edges + 1, "edge offsets");
    const std::int64_t* first = first_edge.const_data_ptr<std::int64_t>();
    TORCH_CHECK_VALUE(first_edge.size(0) == n_centres + 1 && first[0] == 0 && first[n_centres] == n_edges &&
                          std::is_sorted(first, first + n_centres + 1),
                      "first_edge must rise from 0 to the number of edges (", n_edges, ") in ", n_centres + 1,
                      " entries; sort the edges by centre");
}

// the same choice of an instruction set as the engine's
template <class T> const SymmetryKernels<T>& symmetry_kernels() {
    constexpr bool wide = std::is_same_v<T, double>;
    const auto pick = [](const auto& d, const auto& f) -> const SymmetryKernels<T>& {
        if constexpr (wide) return d;
        else return f;
    };
#ifdef RHOPOT_X86_VARIANTS
    const char* name = kernels<T>().name;
    if (std::strcmp(name, "v4") == 0) return pick(v4::symmetry_double, v4::symmetry_float);
    if (std::strcmp(name, "v3") == 0) return pick(v3::symmetry_double, v3::symmetry_float);
#endif
    return pick(baseline::symmetry_double, baseline::symmetry_float);
}

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
    const auto type = edge_vectors.scalar_type();
    TORCH_CHECK_TYPE(type == at::kDouble || type == at::kFloat, "edge_vectors must be float64 or float32, got ", type);
    TORCH_CHECK_VALUE(edge_vectors.dim() == 2 && edge_vectors.size(1) == 3, "edge_vectors must be of shape (E, 3), got ",
                      edge_vectors.sizes());
    check_float(edge_vectors, "edge_vectors", type);
    check_float(radial, "radial", type);
    check_float(angular, "angular", type);
    TORCH_CHECK_VALUE(radial.dim() == 2 && radial.size(1) == 2, "radial must be of shape (N2, 2), got ", radial.sizes());
    TORCH_CHECK_VALUE(angular.dim() == 1, "angular must be one-dimensional, got ", angular.sizes());
    for (const std::int64_t z : zeta) {
        TORCH_CHECK_VALUE(z >= 1 && z <= ZETA_LIMIT, "zeta must lie in [1, ", ZETA_LIMIT, "], got ", z);
    }
    for (const std::int64_t s : sign) TORCH_CHECK_VALUE(s == 1 || s == -1, "sign must be +1 or -1, got ", s);
    TORCH_CHECK_VALUE(std::isfinite(cutoff) && cutoff > 0, "cutoff must be positive, got ", cutoff);
    TORCH_CHECK_VALUE(width > 0 && width <= cutoff, "cutoff_width must lie in (0, cutoff], got ", width);
    TORCH_CHECK_VALUE(fade == "quintic" || fade == "shifted_cosine",
                      "cutoff_function must be quintic or shifted_cosine, got ", fade);
    TORCH_CHECK_VALUE(n_species >= 1, "n_species must be positive, got ", n_species);
    check_index(species, "species", n_species, "n_species");
    check_index(neighbour, "neighbour", species.size(0), "rows of species");
    check_index(centre, "centre", species.size(0), "rows of species");
    TORCH_CHECK_VALUE(neighbour.size(0) == n_edges(), "neighbour must have one entry per edge (", n_edges(), "), got ",
                      neighbour.size(0));
    check_offsets(first_edge, n_centres(), n_edges());
}

std::int64_t SymmetryArguments::n_features() const {
    const std::int64_t n_angular = angular.size(0) * std::int64_t(zeta.size() * sign.size());
    return n_species * radial.size(0) + n_species * (n_species + 1) / 2 * n_angular;
}

std::int64_t SymmetryArguments::most_edges() const {
    const std::int64_t* first = first_edge.const_data_ptr<std::int64_t>();
    std::int64_t most = 0;
    for (std::int64_t i = 0; i < n_centres(); ++i) most = std::max(most, first[i + 1] - first[i]);
    return most;
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
    at::Tensor slopes = at::empty({a.n_edges(), 3, a.n_features()}, a.edge_vectors.options());
    on_graph(a, {}, [&](auto& k, auto& graph, auto& grid, auto begin, auto end, auto* workspace) {
        k.jacobian(graph, grid, begin, end, out(features, workspace), out(slopes, workspace), workspace);
    });
    return {features, slopes};
}

}  // namespace rhopot
