#include "compute.hpp"

#include <ATen/Dispatch.h>

#include <vector>

namespace rhopot {

#define RHOPOT_FLOATING(type, ...) AT_DISPATCH_FLOATING_TYPES(type, "rhopot", __VA_ARGS__)

at::Tensor expand(const GraphArguments& a, const at::Tensor& tangents) {
    at::Tensor density = at::empty({a.n_centres(), a.n_angular(), a.width()}, a.edge_vectors.options());
    const at::Tensor direction = tangents.defined() ? tangents.contiguous() : tangents;
    RHOPOT_FLOATING(a.edge_vectors.scalar_type(), [&] {
        const auto& k = kernels<scalar_t>();
        const auto graph = a.graph<scalar_t>(direction);
        const auto basis = a.basis<scalar_t>();
        auto* to = density.mutable_data_ptr<scalar_t>();
        over_centres<scalar_t>(a.n_centres(), k.graph_workspace(basis, 0), [&](auto begin, auto end, scalar_t* workspace) {
            k.expand(graph, basis, begin, end, to, workspace);
        });
    });
    return density;
}

at::Tensor expand_adjoint(const GraphArguments& a, const at::Tensor& adjoint, const at::Tensor& tangents) {
    at::Tensor gradient = at::empty({a.n_edges(), 3}, a.edge_vectors.options());
    const at::Tensor incoming = adjoint.contiguous();
    const at::Tensor direction = tangents.defined() ? tangents.contiguous() : tangents;
    RHOPOT_FLOATING(a.edge_vectors.scalar_type(), [&] {
        const auto& k = kernels<scalar_t>();
        const auto graph = a.graph<scalar_t>(direction);
        const auto basis = a.basis<scalar_t>();
        const auto* from = incoming.const_data_ptr<scalar_t>();
        auto* to = gradient.mutable_data_ptr<scalar_t>();
        over_centres<scalar_t>(a.n_centres(), k.graph_workspace(basis, 0), [&](auto begin, auto end, scalar_t* workspace) {
            k.expand_adjoint(graph, basis, begin, end, from, to, workspace);
        });
    });
    return gradient;
}

namespace {

template <class T> Density<T> view(const at::Tensor& density, const at::Tensor& tangent) {
    return {density.const_data_ptr<T>(), tangent.defined() ? tangent.const_data_ptr<T>() : nullptr, tangent.defined(),
            density_degree(density), int(density.size(2))};
}

std::int64_t n_features(const at::Tensor& density) {
    const int degree = density_degree(density);
    return density.size(2) * (density.size(2) + 1) / 2 * (degree + 1);
}

}  // namespace

at::Tensor power(const at::Tensor& density, const at::Tensor& tangent) {
    const at::Tensor value = density.contiguous(), direction = tangent.defined() ? tangent.contiguous() : tangent;
    at::Tensor spectrum = at::empty({value.size(0), n_features(value)}, value.options());
    RHOPOT_FLOATING(value.scalar_type(), [&] {
        const auto& k = kernels<scalar_t>();
        const auto source = view<scalar_t>(value, direction);
        auto* to = spectrum.mutable_data_ptr<scalar_t>();
        over_centres<scalar_t>(value.size(0), k.density_workspace(source), [&](auto begin, auto end, scalar_t* workspace) {
            k.power(source, begin, end, to, workspace);
        });
    });
    return spectrum;
}

at::Tensor power_adjoint(const at::Tensor& density, const at::Tensor& adjoint) {
    const at::Tensor value = density.contiguous(), incoming = adjoint.contiguous();
    at::Tensor gradient = at::empty_like(value);
    RHOPOT_FLOATING(value.scalar_type(), [&] {
        const auto& k = kernels<scalar_t>();
        const auto source = view<scalar_t>(value, {});
        const auto* from = incoming.const_data_ptr<scalar_t>();
        auto* to = gradient.mutable_data_ptr<scalar_t>();
        over_centres<scalar_t>(value.size(0), k.density_workspace(source), [&](auto begin, auto end, scalar_t* workspace) {
            k.power_adjoint(source, begin, end, from, to, workspace);
        });
    });
    return gradient;
}

at::Tensor soap(const GraphArguments& a) {
    at::Tensor spectrum = at::empty({a.n_centres(), a.n_features()}, a.edge_vectors.options());
    RHOPOT_FLOATING(a.edge_vectors.scalar_type(), [&] {
        const auto& k = kernels<scalar_t>();
        const auto graph = a.graph<scalar_t>();
        const auto basis = a.basis<scalar_t>();
        auto* to = spectrum.mutable_data_ptr<scalar_t>();
        over_centres<scalar_t>(a.n_centres(), k.graph_workspace(basis, 0), [&](auto begin, auto end, scalar_t* workspace) {
            k.soap(graph, basis, begin, end, to, workspace);
        });
    });
    return spectrum;
}

at::Tensor soap_adjoint(const GraphArguments& a, const at::Tensor& adjoint) {
    at::Tensor gradient = at::empty({a.n_edges(), 3}, a.edge_vectors.options());
    const at::Tensor incoming = adjoint.contiguous();
    RHOPOT_FLOATING(a.edge_vectors.scalar_type(), [&] {
        const auto& k = kernels<scalar_t>();
        const auto graph = a.graph<scalar_t>();
        const auto basis = a.basis<scalar_t>();
        const auto* from = incoming.const_data_ptr<scalar_t>();
        auto* to = gradient.mutable_data_ptr<scalar_t>();
        over_centres<scalar_t>(a.n_centres(), k.graph_workspace(basis, a.most_edges()),
                               [&](auto begin, auto end, scalar_t* workspace) {
                                   k.soap_adjoint(graph, basis, begin, end, from, to, workspace);
                               });
    });
    return gradient;
}

std::tuple<at::Tensor, at::Tensor> soap_jacobian(const GraphArguments& a) {
    at::Tensor spectrum = at::empty({a.n_centres(), a.n_features()}, a.edge_vectors.options());
    at::Tensor jacobian = at::empty({a.n_edges(), 3, a.n_features()}, a.edge_vectors.options());
    RHOPOT_FLOATING(a.edge_vectors.scalar_type(), [&] {
        const auto& k = kernels<scalar_t>();
        const auto graph = a.graph<scalar_t>();
        const auto basis = a.basis<scalar_t>();
        auto* p = spectrum.mutable_data_ptr<scalar_t>();
        auto* dp = jacobian.mutable_data_ptr<scalar_t>();
        over_centres<scalar_t>(a.n_centres(), k.graph_workspace(basis, a.most_edges()),
                               [&](auto begin, auto end, scalar_t* workspace) {
                                   k.soap_jacobian(graph, basis, begin, end, p, dp, workspace);
                               });
    });
    return {spectrum, jacobian};
}

namespace {

void check_weights(const GraphArguments& a, const at::Tensor& weights) {
    TORCH_CHECK_TYPE(weights.scalar_type() == a.edge_vectors.scalar_type(), "weights must have the dtype of edge_vectors (",
                     a.edge_vectors.scalar_type(), "), got ", weights.scalar_type(), "; cast one of them");
    const bool sets_fit = weights.dim() == 3 && (weights.size(0) == 1 || weights.size(0) == a.n_species());
    TORCH_CHECK_VALUE(sets_fit && weights.size(1) == a.n_features() && weights.size(2) >= 1,
                      "weights must be of shape (1 or ", a.n_species(), ", ", a.n_features(), ", >= 1), got ",
                      weights.sizes());
}

// rows of the centres of each weight set; calls visit(weights of the set, rows)
template <class Visit> void for_each_set(const GraphArguments& a, const at::Tensor& weights, Visit visit) {
    const at::Tensor kinds = a.species.index_select(0, a.centre);
    for (std::int64_t set = 0; set < weights.size(0); ++set) visit(weights[set], kinds.eq(set).nonzero().flatten());
}

}  // namespace

LinearResult soap_linear(const GraphArguments& a, const at::Tensor& weights, bool members, bool want_gradient) {
    check_weights(a, weights);
    const auto options = a.edge_vectors.options();
    const std::int64_t columns = members ? weights.size(2) : 1, n_sets = weights.size(0);
    const bool want_spectrum = columns > 1;
    LinearResult result{at::empty({a.n_centres(), columns}, options), {}};
    at::Tensor spectrum;
    if (want_gradient) result.gradient = at::empty({a.n_edges(), 3}, options);
    if (want_spectrum) spectrum = at::empty({a.n_centres(), a.n_features()}, options);
    const at::Tensor w = weights.contiguous();
    RHOPOT_FLOATING(a.edge_vectors.scalar_type(), [&] {
        const auto& k = kernels<scalar_t>();
        const auto graph = a.graph<scalar_t>();
        const auto basis = a.basis<scalar_t>();
        const std::size_t size = k.packed_weights(basis);
        std::vector<scalar_t> packed(size * n_sets);
        for (std::int64_t set = 0; set < n_sets; ++set) {
            const auto* from = w.const_data_ptr<scalar_t>() + set * w.size(1) * w.size(2);
            k.pack_weights(basis, from, w.size(2), packed.data() + set * size);
        }
        auto* e = result.energies.mutable_data_ptr<scalar_t>();
        auto* g = want_gradient ? result.gradient.mutable_data_ptr<scalar_t>() : nullptr;
        auto* p = want_spectrum ? spectrum.mutable_data_ptr<scalar_t>() : nullptr;
        over_centres<scalar_t>(a.n_centres(), k.graph_workspace(basis, a.most_edges()),
                               [&](auto begin, auto end, scalar_t* workspace) {
                                   k.soap_linear(graph, basis, begin, end, packed.data(), n_sets, e, columns, g, p, workspace);
                               });
    });
    if (!want_spectrum) return result;
    at::Tensor rest = result.energies.narrow(1, 1, columns - 1);
    if (n_sets == 1) {
        rest.copy_(at::matmul(spectrum, w[0].narrow(1, 1, columns - 1)));
    } else {
        for_each_set(a, w, [&](const at::Tensor& set, const at::Tensor& rows) {
            rest.index_copy_(0, rows, at::matmul(spectrum.index_select(0, rows), set.narrow(1, 1, columns - 1)));
        });
    }
    return result;
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
