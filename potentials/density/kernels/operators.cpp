// The operators: schemas, CPU kernels and autograd in C++, so that gradients are the same with and without Python.
// See autograd.hpp for how derivatives are made.
#include <ATen/TensorOperators.h>
#include <ATen/ops/repeat_interleave.h>
#include <torch/library.h>

#include "autograd.hpp"

namespace rhopot {
namespace {

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

// dL/dr for energies whose gradient is `slope`, g = d(sum of the first column)/dr, and dL/d(energies) = h; as a rule the first
// column of h is one, and g is handed on as it is
Tensor of_first_column(const GraphArguments& a, const Tensor& slope, const Tensor& h) {
    const Tensor first = h.select(1, 0);
    if (first.eq(1).all().item<bool>()) return slope.clone();
    return slope * per_edge(a, first.unsqueeze(1));
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
            g = of_first_column(a, saved[8], h);
            const Tensor rest = h.narrow(1, 1, h.size(1) - 1);
            if (rest.numel() > 0 && rest.any().item<bool>()) {
                g = g + soap_adjoint(a, weigh(a, weights.narrow(2, 1, rest.size(1)), rest));
            }
        }
        return {g, Tensor(), Tensor(), Tensor()};
    }
};

void save_model(AutogradContext* ctx, const SparseModel& model) {
    ctx->saved_data["first_point"] = model.first_point;
    ctx->saved_data["zeta"] = model.zeta;
}

SparseModel restore_model(AutogradContext* ctx, const Tensor& points, const Tensor& weights, const Tensor& features) {
    return {points, ctx->saved_data["first_point"].toIntVector(), weights, ctx->saved_data["zeta"].toInt(), features};
}

struct Gap : torch::autograd::Function<Gap> {
    static Tensor forward(AutogradContext* ctx, const Tensor&, const GraphArguments& a, const SparseModel& model, bool members) {
        at::AutoDispatchBelowADInplaceOrView guard;
        auto result = soap_gap(a, model, members, true);
        save(ctx, a, {model.points, model.weights, model.features, result.gradient});
        save_model(ctx, model);
        return result.energies;
    }
    static variable_list backward(AutogradContext* ctx, const variable_list& incoming) {
        const auto saved = ctx->get_saved_variables();
        const auto a = restore(ctx, saved);
        SparseModel model = restore_model(ctx, saved[7], saved[8], saved[9]);
        const Tensor& h = incoming[0];
        Tensor g;
        if (at::GradMode::is_enabled()) {
            g = spectrum_gradient(a, sparse_adjoint(a, model, Soap::apply(a.edge_vectors, a), h));
        } else {
            g = of_first_column(a, saved[10], h);
            const Tensor rest = h.narrow(1, 1, h.size(1) - 1);
            if (rest.numel() > 0 && rest.any().item<bool>()) {
                model.weights = model.weights.narrow(1, 1, rest.size(1));
                g = g + soap_adjoint(a, sparse_adjoint(a, model, soap(a), rest));
            }
        }
        return {g, Tensor(), Tensor(), Tensor()};
    }
};

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
