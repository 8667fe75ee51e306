#include "compute.hpp"

#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>

namespace rhopot {
namespace {

// work(kernels, graph, basis, begin, end, workspace) over all centres, in the float type of the arguments
template <class Work> void over_expansions(const GraphArguments& a, const at::Tensor& tangents, const Work& work) {
    AT_DISPATCH_FLOATING_TYPES(a.edge_vectors.scalar_type(), "rhopot", [&] {
        const auto& k = expansion_kernels<scalar_t>();
        const auto graph = a.graph<scalar_t>(tangents);
        const auto basis = a.basis<scalar_t>();
        over_centres<scalar_t>(a.n_centres(), k.workspace(basis),
                               [&](auto begin, auto end, auto* workspace) { work(k, graph, basis, begin, end, workspace); });
    });
}

}  // namespace

at::Tensor expand(const GraphArguments& a, const at::Tensor& tangents) {
    at::Tensor density = at::empty({a.n_centres(), a.n_angular(), a.width()}, a.edge_vectors.options());
    over_expansions(a, contiguous(tangents), [&](auto& k, auto& graph, auto& basis, auto begin, auto end, auto* workspace) {
        k.values(graph, basis, begin, end, out(density, workspace), workspace);
    });
    return density;
}

at::Tensor expand_adjoint(const GraphArguments& a, const at::Tensor& adjoint, const at::Tensor& tangents) {
    at::Tensor gradient = at::empty({a.n_edges(), 3}, a.edge_vectors.options());
    const at::Tensor d = adjoint.contiguous();
    over_expansions(a, contiguous(tangents), [&](auto& k, auto& graph, auto& basis, auto begin, auto end, auto* workspace) {
        k.adjoint(graph, basis, begin, end, in(d, workspace), out(gradient, workspace), workspace);
    });
    return gradient;
}

}  // namespace rhopot
