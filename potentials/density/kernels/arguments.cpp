#include "arguments.hpp"

#include <cmath>

namespace rhopot {
namespace {

constexpr const char* REFERENCE = "rhopot.potentials.density.reference";

void check_cpu(const at::Tensor& tensor, const char* name, const char* reference) {
    TORCH_CHECK_VALUE(tensor.device().is_cpu(), name, " must be on the CPU, got ", tensor.device(), "; use ", reference,
                      " on other devices");
}

}  // namespace

void check_index(const at::Tensor& index, const char* name, std::int64_t size, const char* what) {
    TORCH_CHECK_VALUE(index.dim() == 1 && index.scalar_type() == at::kLong, name, " must be one-dimensional int64, got ",
                      index.scalar_type(), " of shape ", index.sizes());
    const std::int64_t* value = index.const_data_ptr<std::int64_t>();
    for (std::int64_t i = 0; i < index.numel(); ++i) {
        TORCH_CHECK_VALUE(value[i] >= 0 && value[i] < size, name, " must lie in [0, ", size, ") (", what, "), got ", value[i],
                          " at ", i);
    }
}

void check_offsets(const at::Tensor& first_edge, std::int64_t n_centres, std::int64_t n_edges) {
    check_index(first_edge, "first_edge", n_edges + 1, "edge offsets");
    TORCH_CHECK_VALUE(first_edge.size(0) == n_centres + 1, "first_edge must have one entry per centre and one more (",
                      n_centres + 1, "), got ", first_edge.size(0));
    const std::int64_t* first = first_edge.const_data_ptr<std::int64_t>();
    TORCH_CHECK_VALUE(first[0] == 0 && first[n_centres] == n_edges && std::is_sorted(first, first + n_centres + 1),
                      "first_edge must rise from 0 to the number of edges (", n_edges, "); sort the edges by centre");
}

void check_float(const at::Tensor& tensor, const char* name, at::ScalarType type, const char* reference) {
    check_cpu(tensor, name, reference);
    TORCH_CHECK_TYPE(tensor.scalar_type() == type, name, " must have the dtype of edge_vectors (", type, "), got ",
                     tensor.scalar_type(), "; cast one of them");
}

void GraphTensors::check(std::int64_t n_species, const char* what, const char* reference) const {
    check_cpu(edge_vectors, "edge_vectors", reference);
    check_cpu(first_edge, "first_edge", reference);
    check_cpu(neighbour, "neighbour", reference);
    check_cpu(centre, "centre", reference);
    check_cpu(species, "species", reference);
    const auto type = edge_vectors.scalar_type();
    TORCH_CHECK_TYPE(type == at::kDouble || type == at::kFloat, "edge_vectors must be float64 or float32, got ", type);
    TORCH_CHECK_VALUE(edge_vectors.dim() == 2 && edge_vectors.size(1) == 3, "edge_vectors must be of shape (E, 3), got ",
                      edge_vectors.sizes());
    check_index(species, "species", n_species, what);
    check_index(neighbour, "neighbour", species.size(0), "rows of species");
    check_index(centre, "centre", species.size(0), "rows of species");
    TORCH_CHECK_VALUE(neighbour.size(0) == n_edges(), "neighbour must have one entry per edge (", n_edges(), "), got ",
                      neighbour.size(0));
    check_offsets(first_edge, n_centres(), n_edges());
}

std::int64_t GraphTensors::most_edges() const {
    const std::int64_t* first = first_edge.const_data_ptr<std::int64_t>();
    std::int64_t most = 0;
    for (std::int64_t i = 0; i < n_centres(); ++i) most = std::max(most, first[i + 1] - first[i]);
    return most;
}

void GraphArguments::check() const {
    TORCH_CHECK_VALUE(radial.dim() == 5 && radial.size(0) >= 1 && radial.size(1) >= 2 && radial.size(2) == 3 &&
                          radial.size(3) >= 1 && radial.size(4) >= 1,
                      "radial must be of shape (A, K >= 2, 3, L+1, Q), got ", radial.sizes());
    TORCH_CHECK_VALUE(l_max() <= L_LIMIT, "radial must hold angular degrees up to ", L_LIMIT, ", got ", l_max());
    GraphTensors::check(n_species(), "rows of radial", REFERENCE);
    check_float(radial, "radial", edge_vectors.scalar_type(), REFERENCE);
    TORCH_CHECK_VALUE(std::isfinite(cutoff) && cutoff > 0, "cutoff must be positive, got ", cutoff);
    TORCH_CHECK_VALUE(n_channels >= 1, "n_channels must be positive, got ", n_channels);
    check_cpu(species_channel, "species_channel", REFERENCE);
    check_index(species_channel, "species_channel", n_channels, "n_channels");
    TORCH_CHECK_VALUE(species_channel.size(0) == n_species(), "species_channel must have one entry per species (", n_species(),
                      "), got ", species_channel.size(0));
}

Columns GraphArguments::all_columns() const {
    Columns columns{};
    const std::int64_t width = radial.size(4), n = width * radial.size(3);
    for (std::int64_t l = 0; l <= l_max(); ++l) {
        columns.used[l] = int(width);
        columns.first[l] = l * width;
    }
    columns.n_runs = 1;
    columns.runs[0] = {0, 0, n};
    columns.row = Columns::padded(n);
    return columns;
}

GraphArguments graph_arguments(const at::Tensor& edge_vectors, const at::Tensor& first_edge, const at::Tensor& neighbour,
                               const at::Tensor& centre, const at::Tensor& species, const at::Tensor& radial, double cutoff,
                               const at::Tensor& species_channel, std::int64_t n_channels, double center_weight) {
    GraphArguments a{
        {edge_vectors.contiguous(), first_edge.contiguous(), neighbour.contiguous(), centre.contiguous(), species.contiguous()},
        radial.contiguous(),
        species_channel.contiguous(),
        cutoff,
        n_channels,
        center_weight};
    a.check();
    return a;
}

int density_degree(const at::Tensor& density) {
    check_cpu(density, "density", REFERENCE);
    const auto type = density.scalar_type();
    TORCH_CHECK_TYPE(type == at::kDouble || type == at::kFloat, "density must be float64 or float32, got ", type);
    TORCH_CHECK_VALUE(density.dim() == 3 && density.size(2) >= 1, "density must be of shape (C, (L+1)^2, U), got ",
                      density.sizes());
    const int degree = int(std::lround(std::sqrt(double(density.size(1))))) - 1;
    TORCH_CHECK_VALUE(degree >= 0 && degree <= L_LIMIT && (degree + 1) * (degree + 1) == density.size(1),
                      "density must have (L+1)^2 rows per centre with L <= ", L_LIMIT, ", got ", density.size(1));
    return degree;
}

}  // namespace rhopot
