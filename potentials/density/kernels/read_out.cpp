#include "read_out.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>

namespace rhopot {
namespace {

// rows of the centres of each weight set; calls visit(weights of the set, rows)
template <class Visit> void for_each_set(const GraphArguments& a, const at::Tensor& weights, Visit visit) {
    const at::Tensor kinds = a.species.index_select(0, a.centre);
    for (std::int64_t set = 0; set < weights.size(0); ++set) visit(weights[set], kinds.eq(set).nonzero().flatten());
}

}  // namespace

void check_weights(const GraphArguments& a, const at::Tensor& weights, std::int64_t n_features) {
    TORCH_CHECK_TYPE(weights.scalar_type() == a.edge_vectors.scalar_type(), "weights must have the dtype of edge_vectors (",
                     a.edge_vectors.scalar_type(), "), got ", weights.scalar_type(), "; cast one of them");
    const bool sets_fit = weights.dim() == 3 && (weights.size(0) == 1 || weights.size(0) == a.n_species());
    TORCH_CHECK_VALUE(sets_fit && weights.size(1) == n_features && weights.size(2) >= 1, "weights must be of shape (1 or ",
                      a.n_species(), ", ", n_features, ", >= 1), got ", weights.sizes());
}

void add_members(const GraphArguments& a, const at::Tensor& features, const at::Tensor& weights, at::Tensor& energies) {
    const std::int64_t n = weights.size(2) - 1;
    at::Tensor rest = energies.narrow(1, 1, n);
    if (weights.size(0) == 1) {
        rest.copy_(at::matmul(features, weights[0].narrow(1, 1, n)));
        return;
    }
    for_each_set(a, weights, [&](const at::Tensor& set, const at::Tensor& rows) {
        rest.index_copy_(0, rows, at::matmul(features.index_select(0, rows), set.narrow(1, 1, n)));
    });
}

at::Tensor weigh(const GraphArguments& a, const at::Tensor& weights, const at::Tensor& adjoint) {
    const at::Tensor used = weights.narrow(2, 0, adjoint.size(1));
    if (weights.size(0) == 1) return at::matmul(adjoint, used[0].t());
    at::Tensor result = at::zeros({a.n_centres(), weights.size(1)}, weights.options());
    for_each_set(a, used, [&](const at::Tensor& set, const at::Tensor& rows) {
        result = result.index_add(0, rows, at::matmul(adjoint.index_select(0, rows), set.t()));
    });
    return result;
}

}  // namespace rhopot
