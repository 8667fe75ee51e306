// What the operators' autograd classes share: the argument list, saving it, and the density expansion, differentiable twice.
//
// First order: the adjoint kernels. Second order: with g = sum d dc/dr and an incoming v = dL/dg,
//   dL/dd = (dc/dr) v    and    dL/dr = d/dr (v . g),
// which are the derivatives along v of the forward and of the adjoint kernel (dual numbers). A third order is refused.
// Operators that fuse several steps fall back to the composition when a graph of their gradient is wanted.
#pragma once

#include <torch/csrc/autograd/custom_function.h>

#include "compute.hpp"

namespace rhopot {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

[[noreturn]] inline void refuse_third(const char* name) {
    TORCH_CHECK_NOT_IMPLEMENTED(false, name, " has no third derivative; use rhopot.potentials.density.reference for it");
}

inline void refuse_gradient(const Tensor& tensor, const char* name) {
    TORCH_CHECK_NOT_IMPLEMENTED(!(at::GradMode::is_enabled() && tensor.requires_grad()), name,
                                " must not require a gradient here; use rhopot.potentials.density.reference, or detach it");
}

// in a context: the seven tensors first, then what an operator adds
inline variable_list tensors_of(const GraphArguments& a) {
    return {a.edge_vectors, a.first_edge, a.neighbour, a.centre, a.species, a.radial, a.species_channel};
}

inline void save(AutogradContext* ctx, const GraphArguments& a, const variable_list& more = {}) {
    variable_list all = tensors_of(a);
    all.insert(all.end(), more.begin(), more.end());
    ctx->save_for_backward(all);
    ctx->saved_data["cutoff"] = a.cutoff;
    ctx->saved_data["n_channels"] = a.n_channels;
    ctx->saved_data["center_weight"] = a.center_weight;
}

inline GraphArguments restore(AutogradContext* ctx, const variable_list& saved) {
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

#define RHOPOT_GRAPH_PARAMETERS                                                                                        \
    const Tensor &edge_vectors, const Tensor &first_edge, const Tensor &neighbour, const Tensor &centre,                \
        const Tensor &species, const Tensor &radial, double cutoff, const Tensor &species_channel,                     \
        std::int64_t n_channels, double center_weight
#define RHOPOT_GRAPH_VALUES \
    edge_vectors, first_edge, neighbour, centre, species, radial, cutoff, species_channel, n_channels, center_weight

#define RHOPOT_GRAPH_SCHEMA                                                                                     \
    "Tensor edge_vectors, Tensor first_edge, Tensor neighbour, Tensor centre, Tensor species, Tensor radial, "  \
    "float cutoff, Tensor species_channel, int n_channels, float center_weight"

}  // namespace rhopot
