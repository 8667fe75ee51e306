// The operators: schemas, CPU kernels and autograd in C++, so that gradients are the same with and without Python.
//
// First order: the adjoint kernels. Second order: with g = sum d dc/dr and an incoming v = dL/dg,
//   dL/dd = (dc/dr) v    and    dL/dr = d/dr (v . g),
// which are the derivatives along v of the forward and of the adjoint kernel (dual numbers). A third order is refused.
// Operators that fuse several steps fall back to the composition when a graph of their gradient is wanted.
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "compute.hpp"

namespace rhopot {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

[[noreturn]] void refuse_third(const char* name) {
    TORCH_CHECK_NOT_IMPLEMENTED(false, name, " has no third derivative; use rhopot.potentials.density.reference for it");
}

void refuse_gradient(const Tensor& tensor, const char* name) {
    TORCH_CHECK_NOT_IMPLEMENTED(!(at::GradMode::is_enabled() && tensor.requires_grad()), name,
                                " must not require a gradient here; use rhopot.potentials.density.reference, or detach it");
}

// in a context: the seven tensors first, then what an operator adds
variable_list tensors_of(const GraphArguments& a) {
    return {a.edge_vectors, a.first_edge, a.neighbour, a.centre, a.species, a.radial, a.species_channel};
}

void save(AutogradContext* ctx, const GraphArguments& a, const variable_list& more = {}) {
    variable_list all = tensors_of(a);
    all.insert(all.end(), more.begin(), more.end());
    ctx->save_for_backward(all);
    ctx->saved_data["cutoff"] = a.cutoff;
    ctx->saved_data["n_channels"] = a.n_channels;
    ctx->saved_data["center_weight"] = a.center_weight;
}

GraphArguments restore(AutogradContext* ctx, const variable_list& saved) {
    return {saved[0], saved[1], saved[2], saved[3], saved[4], saved[5], saved[6], ctx->saved_data["cutoff"].toDouble(),
            ctx->saved_data["n_channels"].toInt(), ctx->saved_data["center_weight"].toDouble()};
}

// (dL/dd, dL/dr) of the expansion's gradient
struct ExpansionSecond : torch::autograd::Function<ExpansionSecond> {
    static variable_list forward(AutogradContext*, const Tensor&, const Tensor& adjoint, const Tensor& tangents,
                                 const GraphArguments& a) {
        at::AutoDispatchBelowADInplaceOrView guard;
        return {expand(a, tangents), expand_adjoint(a, adjoint, tangents)};
    }
    static variable_list backward(AutogradContext*, const variable_list&) { refuse_third("density_expansion_v1"); }
};

struct ExpansionGradient : torch::autograd::Function<ExpansionGradient> {
    static Tensor forward(AutogradContext* ctx, const Tensor&, const Tensor& adjoint, const GraphArguments& a) {
        at::AutoDispatchBelowADInplaceOrView guard;
        save(ctx, a, {adjoint});
        return expand_adjoint(a, adjoint);
    }
    static variable_list backward(AutogradContext* ctx, const variable_list& incoming) {
        const auto saved = ctx->get_saved_variables();
        const auto a = restore(ctx, saved);
        const auto second = ExpansionSecond::apply(a.edge_vectors, saved[7], incoming[0], a);
        return {second[1], second[0], Tensor()};
    }
};

struct Expansion : torch::autograd::Function<Expansion> {
    static Tensor forward(AutogradContext* ctx, const Tensor&, const GraphArguments& a) {
        at::AutoDispatchBelowADInplaceOrView guard;
        save(ctx, a);
        return expand(a);
    }
    static variable_list backward(AutogradContext* ctx, const variable_list& incoming) {
        const auto a = restore(ctx, ctx->get_saved_variables());
        return {ExpansionGradient::apply(a.edge_vectors, incoming[0], a), Tensor()};
    }
};

// (dL/dh, dL/dc) of the spectrum's gradient d = W(h) c
struct PowerSecond : torch::autograd::Function<PowerSecond> {
    static variable_list forward(AutogradContext*, const Tensor& density, const Tensor& adjoint, const Tensor& tangent) {
        at::AutoDispatchBelowADInplaceOrView guard;
        return {power(density, tangent), power_adjoint(tangent, adjoint)};
    }
    static variable_list backward(AutogradContext*, const variable_list&) { refuse_third("power_spectrum_v1"); }
};

struct PowerGradient : torch::autograd::Function<PowerGradient> {
    static Tensor forward(AutogradContext* ctx, const Tensor& density, const Tensor& adjoint) {
        at::AutoDispatchBelowADInplaceOrView guard;
        ctx->save_for_backward({density, adjoint});
        return power_adjoint(density, adjoint);
    }
    static variable_list backward(AutogradContext* ctx, const variable_list& incoming) {
        const auto saved = ctx->get_saved_variables();
        const auto second = PowerSecond::apply(saved[0], saved[1], incoming[0]);
        return {second[1], second[0]};
    }
};

struct Power : torch::autograd::Function<Power> {
    static Tensor forward(AutogradContext* ctx, const Tensor& density) {
        at::AutoDispatchBelowADInplaceOrView guard;
        ctx->save_for_backward({density});
        return power(density);
    }
    static variable_list backward(AutogradContext* ctx, const variable_list& incoming) {
        return {PowerGradient::apply(ctx->get_saved_variables()[0], incoming[0])};
    }
};

// dE/dr for dE/dp = h: in one pass, or step by step when it must itself be differentiable
Tensor spectrum_gradient(const GraphArguments& a, const Tensor& h) {
    if (!at::GradMode::is_enabled()) return soap_adjoint(a, h);
    const Tensor density = Expansion::apply(a.edge_vectors, a);
    return ExpansionGradient::apply(a.edge_vectors, PowerGradient::apply(density, h), a);
}

struct Soap : torch::autograd::Function<Soap> {
    static Tensor forward(AutogradContext* ctx, const Tensor&, const GraphArguments& a) {
        at::AutoDispatchBelowADInplaceOrView guard;
        save(ctx, a);
        return soap(a);
    }
    static variable_list backward(AutogradContext* ctx, const variable_list& incoming) {
        return {spectrum_gradient(restore(ctx, ctx->get_saved_variables()), incoming[0]), Tensor()};
    }
};

// grad_out[centre of e] for every edge
Tensor per_edge(const GraphArguments& a, const Tensor& per_centre) {
    const Tensor counts = a.first_edge.narrow(0, 1, a.n_centres()) - a.first_edge.narrow(0, 0, a.n_centres());
    return at::repeat_interleave(per_centre, counts, 0, a.n_edges());
}

struct Linear : torch::autograd::Function<Linear> {
    static Tensor forward(AutogradContext* ctx, const Tensor&, const GraphArguments& a, const Tensor& weights, bool members) {
        at::AutoDispatchBelowADInplaceOrView guard;
        auto result = soap_linear(a, weights, members, true);
        save(ctx, a, {weights, result.gradient});
        return result.energies;
    }
    static variable_list backward(AutogradContext* ctx, const variable_list& incoming) {
        const auto saved = ctx->get_saved_variables();
        const auto a = restore(ctx, saved);
        const Tensor &weights = saved[7], &h = incoming[0];
        Tensor g;
        if (at::GradMode::is_enabled()) {
            g = spectrum_gradient(a, weigh(a, weights, h));
        } else {
            g = saved[8] * per_edge(a, h.narrow(1, 0, 1));
            const Tensor rest = h.narrow(1, 1, h.size(1) - 1);
            if (rest.numel() > 0 && rest.any().item<bool>()) {
                g = g + soap_adjoint(a, weigh(a, weights.narrow(2, 1, rest.size(1)), rest));
            }
        }
        return {g, Tensor(), Tensor(), Tensor()};
    }
};

void save(AutogradContext* ctx, const SparseModel& model) {
    ctx->saved_data["first_point"] = model.first_point;
    ctx->saved_data["zeta"] = model.zeta;
}

SparseModel restore(AutogradContext* ctx, const Tensor& points, const Tensor& weights, const Tensor& features) {
    return {points, ctx->saved_data["first_point"].toIntVector(), weights, ctx->saved_data["zeta"].toInt(), features};
}

struct Gap : torch::autograd::Function<Gap> {
    static Tensor forward(AutogradContext* ctx, const Tensor&, const GraphArguments& a, const SparseModel& model, bool members) {
        at::AutoDispatchBelowADInplaceOrView guard;
        auto result = soap_gap(a, model, members, true);
        save(ctx, a, {model.points, model.weights, model.features, result.gradient});
        save(ctx, model);
        return result.energies;
    }
    static variable_list backward(AutogradContext* ctx, const variable_list& incoming) {
        const auto saved = ctx->get_saved_variables();
        const auto a = restore(ctx, saved);
        SparseModel model = restore(ctx, saved[7], saved[8], saved[9]);
        const Tensor& h = incoming[0];
        Tensor g;
        if (at::GradMode::is_enabled()) {
            g = spectrum_gradient(a, sparse_adjoint(a, model, Soap::apply(a.edge_vectors, a), h));
        } else {
            g = saved[10] * per_edge(a, h.narrow(1, 0, 1));
            const Tensor rest = h.narrow(1, 1, h.size(1) - 1);
            if (rest.numel() > 0 && rest.any().item<bool>()) {
                model.weights = model.weights.narrow(1, 1, rest.size(1));
                g = g + soap_adjoint(a, sparse_adjoint(a, model, soap(a), rest));
            }
        }
        return {g, Tensor(), Tensor(), Tensor()};
    }
};

#define RHOPOT_GRAPH_PARAMETERS                                                                                        \
    const Tensor &edge_vectors, const Tensor &first_edge, const Tensor &neighbour, const Tensor &centre,                \
        const Tensor &species, const Tensor &radial, double cutoff, const Tensor &species_channel,                     \
        std::int64_t n_channels, double center_weight
#define RHOPOT_GRAPH_VALUES \
    edge_vectors, first_edge, neighbour, centre, species, radial, cutoff, species_channel, n_channels, center_weight

Tensor density_expansion_plain(RHOPOT_GRAPH_PARAMETERS) { return expand(graph_arguments(RHOPOT_GRAPH_VALUES)); }
Tensor density_expansion_autograd(RHOPOT_GRAPH_PARAMETERS) {
    refuse_gradient(radial, "radial");
    return Expansion::apply(edge_vectors, graph_arguments(RHOPOT_GRAPH_VALUES));
}

Tensor power_spectrum_plain(const Tensor& density) { return power(density); }
Tensor power_spectrum_autograd(const Tensor& density) { return Power::apply(density); }

Tensor soap_power_spectrum_plain(RHOPOT_GRAPH_PARAMETERS) { return soap(graph_arguments(RHOPOT_GRAPH_VALUES)); }
Tensor soap_power_spectrum_autograd(RHOPOT_GRAPH_PARAMETERS) {
    refuse_gradient(radial, "radial");
    return Soap::apply(edge_vectors, graph_arguments(RHOPOT_GRAPH_VALUES));
}

std::tuple<Tensor, Tensor> soap_jacobian_plain(RHOPOT_GRAPH_PARAMETERS) {
    return soap_jacobian(graph_arguments(RHOPOT_GRAPH_VALUES));
}
std::tuple<Tensor, Tensor> soap_jacobian_autograd(RHOPOT_GRAPH_PARAMETERS) {
    refuse_gradient(radial, "radial");
    refuse_gradient(edge_vectors, "edge_vectors");
    at::AutoDispatchBelowADInplaceOrView guard;
    return soap_jacobian(graph_arguments(RHOPOT_GRAPH_VALUES));
}

Tensor soap_linear_plain(RHOPOT_GRAPH_PARAMETERS, const Tensor& weights, bool members) {
    return soap_linear(graph_arguments(RHOPOT_GRAPH_VALUES), weights, members, false).energies;
}
Tensor soap_linear_autograd(RHOPOT_GRAPH_PARAMETERS, const Tensor& weights, bool members) {
    refuse_gradient(radial, "radial");
    refuse_gradient(weights, "weights");
    if (!(at::GradMode::is_enabled() && edge_vectors.requires_grad())) {
        at::AutoDispatchBelowADInplaceOrView guard;
        return soap_linear_plain(RHOPOT_GRAPH_VALUES, weights, members);
    }
    return Linear::apply(edge_vectors, graph_arguments(RHOPOT_GRAPH_VALUES), weights, members);
}

#define RHOPOT_SPARSE_PARAMETERS                                                                          \
    const Tensor &points, at::IntArrayRef first_point, const Tensor &weights, std::int64_t zeta,          \
        const std::optional<Tensor>& features, bool members

SparseModel sparse_model(const GraphArguments& a, const Tensor& points, at::IntArrayRef first_point, const Tensor& weights,
                         std::int64_t zeta, const std::optional<Tensor>& features) {
    SparseModel model{points, first_point.vec(), weights, zeta, features.value_or(Tensor())};
    model.check(a);
    return model;
}

Tensor soap_gap_plain(RHOPOT_GRAPH_PARAMETERS, RHOPOT_SPARSE_PARAMETERS) {
    const auto a = graph_arguments(RHOPOT_GRAPH_VALUES);
    return soap_gap(a, sparse_model(a, points, first_point, weights, zeta, features), members, false).energies;
}
Tensor soap_gap_autograd(RHOPOT_GRAPH_PARAMETERS, RHOPOT_SPARSE_PARAMETERS) {
    refuse_gradient(radial, "radial");
    refuse_gradient(points, "points");
    refuse_gradient(weights, "weights");
    if (!(at::GradMode::is_enabled() && edge_vectors.requires_grad())) {
        at::AutoDispatchBelowADInplaceOrView guard;
        return soap_gap_plain(RHOPOT_GRAPH_VALUES, points, first_point, weights, zeta, features, members);
    }
    const auto a = graph_arguments(RHOPOT_GRAPH_VALUES);
    return Gap::apply(edge_vectors, a, sparse_model(a, points, first_point, weights, zeta, features), members);
}

#define RHOPOT_GRAPH_SCHEMA                                                                                     \
    "Tensor edge_vectors, Tensor first_edge, Tensor neighbour, Tensor centre, Tensor species, Tensor radial, "  \
    "float cutoff, Tensor species_channel, int n_channels, float center_weight"

}  // namespace

TORCH_LIBRARY(rhopot, m) {
    m.def("density_expansion_v1(" RHOPOT_GRAPH_SCHEMA ") -> Tensor");
    m.def("power_spectrum_v1(Tensor density) -> Tensor");
    m.def("soap_power_spectrum_v1(" RHOPOT_GRAPH_SCHEMA ") -> Tensor");
    m.def("soap_jacobian_v1(" RHOPOT_GRAPH_SCHEMA ") -> (Tensor, Tensor)");
    m.def("soap_linear_v1(" RHOPOT_GRAPH_SCHEMA ", Tensor weights, bool members) -> Tensor");
    m.def("soap_gap_v1(" RHOPOT_GRAPH_SCHEMA
          ", Tensor points, int[] first_point, Tensor weights, int zeta, Tensor? features, bool members) -> Tensor");
    m.def("kernel_variant() -> str", [] { return std::string(kernels<double>().name); });
    m.def("operators_version() -> str", [] { return std::string(RHOPOT_OPERATORS_VERSION); });
}

TORCH_LIBRARY_IMPL(rhopot, CPU, m) {
    m.impl("density_expansion_v1", density_expansion_plain);
    m.impl("power_spectrum_v1", power_spectrum_plain);
    m.impl("soap_power_spectrum_v1", soap_power_spectrum_plain);
    m.impl("soap_jacobian_v1", soap_jacobian_plain);
    m.impl("soap_linear_v1", soap_linear_plain);
    m.impl("soap_gap_v1", soap_gap_plain);
}

TORCH_LIBRARY_IMPL(rhopot, AutogradCPU, m) {
    m.impl("density_expansion_v1", density_expansion_autograd);
    m.impl("power_spectrum_v1", power_spectrum_autograd);
    m.impl("soap_power_spectrum_v1", soap_power_spectrum_autograd);
    m.impl("soap_jacobian_v1", soap_jacobian_autograd);
    m.impl("soap_linear_v1", soap_linear_autograd);
    m.impl("soap_gap_v1", soap_gap_autograd);
}

}  // namespace rhopot
