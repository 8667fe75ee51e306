// Operators of the order norms: the GMP descriptor on tensors, and its autograd.
#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include "density/kernels/autograd.hpp"
#include "gmp_kernels.hpp"

namespace rhopot {
namespace {

void check_probes(std::int64_t l_max, std::int64_t width, std::int64_t n_probes, const Tensor& floor, at::ScalarType type) {
    TORCH_CHECK_VALUE(n_probes >= 1 && width % n_probes == 0 && width / n_probes <= l_max / 2 + 1, "n_probes must divide the ",
                      width, " columns into 1 to ", l_max / 2 + 1, " terms, got ", n_probes);
    TORCH_CHECK_VALUE(floor.device().is_cpu() && floor.scalar_type() == type, "floor must have the dtype of the others (", type,
                      ") and be on the CPU, got ", floor.scalar_type(), " on ", floor.device(), "; cast it");
    TORCH_CHECK_VALUE(floor.dim() == 1 && floor.size(0) == n_probes * (l_max + 1), "floor must have one entry per feature (",
                      n_probes * (l_max + 1), "), got shape ", floor.sizes());
    AT_DISPATCH_FLOATING_TYPES(type, "rhopot", [&] {
        const scalar_t* value = floor.const_data_ptr<scalar_t>();
        for (std::int64_t f = 0; f < floor.numel(); ++f) {
            TORCH_CHECK_VALUE(value[f] > 0 && value[f] * value[f] >= std::numeric_limits<scalar_t>::min(),
                              "floor must be positive with a square that ", type, " can hold, got ", value[f], " at ", f);
        }
    });
}

// the arguments of the graph operators, trusted after construction
struct GmpArguments {
    GraphArguments graph;
    std::int64_t n_probes = 0;
    Tensor floor;

    void check() const {
        TORCH_CHECK_VALUE(graph.n_channels == 1, "n_channels must be 1, because the densities of all species are summed, got ",
                          graph.n_channels);
        check_probes(graph.l_max(), graph.width(), n_probes, floor, graph.edge_vectors.scalar_type());
    }
    std::int64_t n_features() const { return n_probes * (graph.l_max() + 1); }

    template <class T> Probes<T> probes() const { return {int(n_probes), floor.const_data_ptr<T>()}; }
    // degree l of order n = l + 2t <= L has the first P min(T, (L - l) / 2 + 1) columns
    template <class T> Basis<T> basis() const {
        Basis<T> basis = graph.basis<T>();
        Columns& columns = basis.columns;
        columns.row = 0;
        columns.n_runs = basis.l_max + 1;
        for (int l = 0; l <= basis.l_max; ++l) {
            const std::int64_t terms = std::min<std::int64_t>(graph.width() / n_probes, (basis.l_max - l) / 2 + 1);
            columns.used[l] = int(terms * n_probes);
            columns.first[l] = columns.row;
            columns.runs[l] = {std::ptrdiff_t(l) * basis.n_radial, columns.row, columns.used[l]};
            columns.row += Columns::padded(columns.used[l]);
        }
        return basis;
    }
};

// work(kernels, graph, basis, probes, begin, end, workspace) over all centres
template <class Work> void on_graph(const GmpArguments& a, std::int64_t kept_edges, const Work& work) {
    AT_DISPATCH_FLOATING_TYPES(a.graph.edge_vectors.scalar_type(), "rhopot", [&] {
        const auto& k = gmp_kernels<scalar_t>();
        const auto graph = a.graph.graph<scalar_t>();
        const auto basis = a.basis<scalar_t>();
        const auto probes = a.probes<scalar_t>();
        const std::size_t size = k.graph_workspace(basis, probes.count, kept_edges);
        over_centres<scalar_t>(a.graph.n_centres(), size, [&](std::int64_t begin, std::int64_t end, scalar_t* workspace) {
            work(k, graph, basis, probes, begin, end, workspace);
        });
    });
}

// the same for densities: work(kernels, density, probes, begin, end, workspace)
template <class Work>
void on_density(const Tensor& value, const Tensor& tangent, std::int64_t n_probes, const Tensor& floor, const Work& work) {
    AT_DISPATCH_FLOATING_TYPES(value.scalar_type(), "rhopot", [&] {
        const auto& k = gmp_kernels<scalar_t>();
        const auto density = density_of<scalar_t>(value, tangent);
        const Probes<scalar_t> probes{int(n_probes), floor.const_data_ptr<scalar_t>()};
        const std::size_t size = k.density_workspace(density, probes.count);
        over_centres<scalar_t>(value.size(0), size, [&](std::int64_t begin, std::int64_t end, scalar_t* workspace) {
            work(k, density, probes, begin, end, workspace);
        });
    });
}

// Phi[C, F]; with a tangent [C, LM, U] its derivative along it
Tensor invariants(const Tensor& density, std::int64_t n_probes, const Tensor& floor, const Tensor& tangent = {}) {
    const Tensor value = density.contiguous(), along = contiguous(tangent);
    Tensor phi = at::empty({value.size(0), floor.size(0)}, value.options());
    on_density(value, along, n_probes, floor, [&](auto& k, auto& source, auto& probes, auto begin, auto end, auto* workspace) {
        k.invariants(source, probes, begin, end, out(phi, workspace), workspace);
    });
    return phi;
}

// d[C, LM, U] for h[C, F]; with a tangent its derivative along it
Tensor invariants_adjoint(const Tensor& density, const Tensor& adjoint, std::int64_t n_probes, const Tensor& floor,
                          const Tensor& tangent = {}) {
    const Tensor value = density.contiguous(), h = adjoint.contiguous(), along = contiguous(tangent);
    Tensor gradient = at::empty_like(value);
    on_density(value, along, n_probes, floor, [&](auto& k, auto& source, auto& probes, auto begin, auto end, auto* workspace) {
        k.invariants_adjoint(source, probes, begin, end, in(h, workspace), out(gradient, workspace), workspace);
    });
    return gradient;
}

Tensor features(const GmpArguments& a) {
    Tensor phi = at::empty({a.graph.n_centres(), a.n_features()}, a.graph.edge_vectors.options());
    on_graph(a, 0, [&](auto& k, auto& graph, auto& basis, auto& probes, auto begin, auto end, auto* workspace) {
        k.features(graph, basis, probes, begin, end, out(phi, workspace), workspace);
    });
    return phi;
}

Tensor features_adjoint(const GmpArguments& a, const Tensor& adjoint) {
    Tensor gradient = at::empty({a.graph.n_edges(), 3}, a.graph.edge_vectors.options());
    const Tensor h = adjoint.contiguous();
    on_graph(a, a.graph.most_edges(),
             [&](auto& k, auto& graph, auto& basis, auto& probes, auto begin, auto end, auto* workspace) {
        k.adjoint(graph, basis, probes, begin, end, in(h, workspace), out(gradient, workspace), workspace);
    });
    return gradient;
}

std::tuple<Tensor, Tensor> jacobian(const GmpArguments& a) {
    const auto options = a.graph.edge_vectors.options();
    Tensor phi = at::empty({a.graph.n_centres(), a.n_features()}, options);
    Tensor derivatives = at::empty({a.graph.n_edges(), 3, a.n_features()}, options);
    on_graph(a, a.graph.most_edges(),
             [&](auto& k, auto& graph, auto& basis, auto& probes, auto begin, auto end, auto* workspace) {
        k.jacobian(graph, basis, probes, begin, end, out(phi, workspace), out(derivatives, workspace), workspace);
    });
    return {phi, derivatives};
}

// Phi(c)
struct Invariants {
    static constexpr const char *NAME = "gmp_invariants_v1", *REFERENCE = DENSITY_REFERENCE;
    Tensor density;
    std::int64_t n_probes = 0;
    Tensor floor;

    const Tensor& variable() const { return density; }
    Tensor value(const Tensor& tangent = {}) const { return invariants(density, n_probes, floor, tangent); }
    Tensor adjoint(const Tensor& h, const Tensor& tangent = {}) const {
        return invariants_adjoint(density, h, n_probes, floor, tangent);
    }
    template <class Self, class Visit> static void visit(Self& self, const Visit& visit) {
        visit(self.density);
        visit(self.n_probes);
        visit(self.floor);
    }
};

// Phi(r) in one pass
struct Features {
    GmpArguments a;

    const Tensor& variable() const { return a.graph.edge_vectors; }
    Tensor value() const { return features(a); }
    Tensor adjoint(const Tensor& h) const { return features_adjoint(a, h); }
    Tensor composed_gradient(const Tensor& h) const { return gradient_by_steps<Invariants>(a.graph, h, a.n_probes, a.floor); }
    template <class Self, class Visit> static void visit(Self& self, const Visit& visit) {
        GraphArguments::visit(self.a.graph, visit);
        visit(self.a.n_probes);
        visit(self.a.floor);
    }
};

GmpArguments gmp_arguments(RHOPOT_GRAPH_PARAMETERS, std::int64_t n_probes, const Tensor& floor) {
    GmpArguments a{graph_arguments(RHOPOT_GRAPH_VALUES), n_probes, floor.contiguous()};
    a.check();
    return a;
}

Tensor gmp_features_plain(RHOPOT_GRAPH_PARAMETERS, std::int64_t n_probes, const Tensor& floor) {
    return features(gmp_arguments(RHOPOT_GRAPH_VALUES, n_probes, floor));
}
Tensor gmp_features_autograd(RHOPOT_GRAPH_PARAMETERS, std::int64_t n_probes, const Tensor& floor) {
    refuse_gradient(radial, "radial");
    refuse_gradient(floor, "floor");
    return value_of(Features{gmp_arguments(RHOPOT_GRAPH_VALUES, n_probes, floor)});
}

Tensor gmp_invariants_plain(const Tensor& density, std::int64_t n_probes, const Tensor& floor) {
    check_probes(density_degree(density), density.size(2), n_probes, floor, density.scalar_type());
    return invariants(density, n_probes, floor.contiguous());
}
Tensor gmp_invariants_autograd(const Tensor& density, std::int64_t n_probes, const Tensor& floor) {
    refuse_gradient(floor, "floor");
    check_probes(density_degree(density), density.size(2), n_probes, floor, density.scalar_type());
    return value_of(Invariants{density, n_probes, floor.contiguous()});
}

std::tuple<Tensor, Tensor> gmp_jacobian_plain(RHOPOT_GRAPH_PARAMETERS, std::int64_t n_probes, const Tensor& floor) {
    return jacobian(gmp_arguments(RHOPOT_GRAPH_VALUES, n_probes, floor));
}
std::tuple<Tensor, Tensor> gmp_jacobian_autograd(RHOPOT_GRAPH_PARAMETERS, std::int64_t n_probes, const Tensor& floor) {
    refuse_gradient(radial, "radial");
    refuse_gradient(floor, "floor");
    refuse_gradient(edge_vectors, "edge_vectors");
    at::AutoDispatchBelowADInplaceOrView guard;
    return gmp_jacobian_plain(RHOPOT_GRAPH_VALUES, n_probes, floor);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rhopot, m) {
    m.def("gmp_features_v1(" RHOPOT_GRAPH_SCHEMA ", int n_probes, Tensor floor) -> Tensor");
    m.def("gmp_invariants_v1(Tensor density, int n_probes, Tensor floor) -> Tensor");
    m.def("gmp_jacobian_v1(" RHOPOT_GRAPH_SCHEMA ", int n_probes, Tensor floor) -> (Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(rhopot, CPU, m) {
    m.impl("gmp_features_v1", gmp_features_plain);
    m.impl("gmp_invariants_v1", gmp_invariants_plain);
    m.impl("gmp_jacobian_v1", gmp_jacobian_plain);
}

TORCH_LIBRARY_IMPL(rhopot, AutogradCPU, m) {
    m.impl("gmp_features_v1", gmp_features_autograd);
    m.impl("gmp_invariants_v1", gmp_invariants_autograd);
    m.impl("gmp_jacobian_v1", gmp_jacobian_autograd);
}

}  // namespace rhopot
