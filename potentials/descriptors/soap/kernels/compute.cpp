#include "soap.hpp"

#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "soap_kernels.hpp"

namespace rhopot {

namespace {

// work(kernels, graph, basis, begin, end, workspace) over all centres, in the float type of the arguments; `kept_edges` is
// how many edges of a centre the workspace must hold at once
template <class Work> void on_graph(const GraphArguments& a, std::int64_t kept_edges, const Work& work) {
    AT_DISPATCH_FLOATING_TYPES(a.edge_vectors.scalar_type(), "rhopot", [&] {
        const auto& k = soap_kernels<scalar_t>();
        const auto graph = a.graph<scalar_t>();
        const auto basis = a.basis<scalar_t>();
        over_centres<scalar_t>(a.n_centres(), k.graph_workspace(basis, kept_edges),
                               [&](auto begin, auto end, auto* workspace) { work(k, graph, basis, begin, end, workspace); });
    });
}

// the same for densities that exist: work(kernels, density, begin, end, workspace)
template <class Work> void on_density(const at::Tensor& value, const at::Tensor& tangent, const Work& work) {
    AT_DISPATCH_FLOATING_TYPES(value.scalar_type(), "rhopot", [&] {
        const auto& k = soap_kernels<scalar_t>();
        const auto density = density_of<scalar_t>(value, tangent);
        over_centres<scalar_t>(value.size(0), k.density_workspace(density),
                               [&](auto begin, auto end, auto* workspace) { work(k, density, begin, end, workspace); });
    });
}

}  // namespace

at::Tensor power(const at::Tensor& density, const at::Tensor& tangent) {
    const at::Tensor value = density.contiguous();
    const int degree = density_degree(value);
    const std::int64_t pairs = value.size(2) * (value.size(2) + 1) / 2;
    at::Tensor spectrum = at::empty({value.size(0), pairs * (degree + 1)}, value.options());
    on_density(value, contiguous(tangent), [&](auto& k, auto& source, auto begin, auto end, auto* workspace) {
        k.power(source, begin, end, out(spectrum, workspace), workspace);
    });
    return spectrum;
}

at::Tensor power_adjoint(const at::Tensor& density, const at::Tensor& adjoint) {
    const at::Tensor value = density.contiguous(), h = adjoint.contiguous();
    at::Tensor gradient = at::empty_like(value);
    on_density(value, {}, [&](auto& k, auto& source, auto begin, auto end, auto* workspace) {
        k.power_adjoint(source, begin, end, in(h, workspace), out(gradient, workspace), workspace);
    });
    return gradient;
}

at::Tensor soap(const GraphArguments& a) {
    at::Tensor spectrum = at::empty({a.n_centres(), n_features(a)}, a.edge_vectors.options());
    on_graph(a, 0, [&](auto& k, auto& graph, auto& basis, auto begin, auto end, auto* workspace) {
        k.soap(graph, basis, begin, end, out(spectrum, workspace), workspace);
    });
    return spectrum;
}

at::Tensor soap_adjoint(const GraphArguments& a, const at::Tensor& adjoint) {
    at::Tensor gradient = at::empty({a.n_edges(), 3}, a.edge_vectors.options());
    const at::Tensor h = adjoint.contiguous();
    on_graph(a, a.most_edges(), [&](auto& k, auto& graph, auto& basis, auto begin, auto end, auto* workspace) {
        k.soap_adjoint(graph, basis, begin, end, in(h, workspace), out(gradient, workspace), workspace);
    });
    return gradient;
}

std::tuple<at::Tensor, at::Tensor> soap_jacobian(const GraphArguments& a) {
    at::Tensor p = at::empty({a.n_centres(), n_features(a)}, a.edge_vectors.options());
    at::Tensor dp = at::empty({a.n_edges(), 3, n_features(a)}, a.edge_vectors.options());
    on_graph(a, a.most_edges(), [&](auto& k, auto& graph, auto& basis, auto begin, auto end, auto* workspace) {
        k.soap_jacobian(graph, basis, begin, end, out(p, workspace), out(dp, workspace), workspace);
    });
    return {p, dp};
}

namespace {

// column 0 of every weight set as the matrices that the kernel applies: (sets, size)
at::Tensor pack(const GraphArguments& a, const at::Tensor& weights) {
    const at::Tensor first = weights.select(2, 0).contiguous();
    at::Tensor packed;
    AT_DISPATCH_FLOATING_TYPES(first.scalar_type(), "rhopot", [&] {
        const auto& k = soap_kernels<scalar_t>();
        const auto basis = a.basis<scalar_t>();
        packed = at::empty({first.size(0), std::int64_t(k.packed_weights(basis))}, first.options());
        for (std::int64_t set = 0; set < first.size(0); ++set) {
            k.pack_weights(basis, first.const_data_ptr<scalar_t>() + set * first.size(1),
                           packed.mutable_data_ptr<scalar_t>() + set * packed.size(1));
        }
    });
    return packed;
}

}  // namespace

AtomEnergies soap_linear(const GraphArguments& a, const at::Tensor& weights, bool members, bool want_gradient) {
    check_weights(a, weights, n_features(a));
    const auto options = a.edge_vectors.options();
    const std::int64_t columns = members ? weights.size(2) : 1, n_sets = weights.size(0);
    AtomEnergies result{at::empty({a.n_centres(), columns}, options), {}};
    at::Tensor spectrum;
    if (want_gradient) result.gradient = at::empty({a.n_edges(), 3}, options);
    if (columns > 1) spectrum = at::empty({a.n_centres(), n_features(a)}, options);
    const at::Tensor packed = pack(a, weights);
    on_graph(a, a.most_edges(), [&](auto& k, auto& graph, auto& basis, auto begin, auto end, auto* workspace) {
        k.soap_linear(graph, basis, begin, end, in(packed, workspace), n_sets, out(result.energies, workspace), columns,
                      out(result.gradient, workspace), out(spectrum, workspace), workspace);
    });
    if (columns > 1) add_members(a, spectrum, weights, result.energies);
    return result;
}

}  // namespace rhopot
