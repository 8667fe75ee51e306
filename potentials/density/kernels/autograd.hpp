// Derivatives of operators in C++, so that they are the same with and without Python.
//
// A map y = F(x) is a struct that holds x and all else that F depends on:
//
//   NAME, REFERENCE                   of the operator, and of the plain PyTorch functions beside it
//   variable()                        x
//   value(tangent)                    y; with a tangent of x, its derivative along it
//   adjoint(h, tangent)               dL/dx for dL/dy = h, linear in h; with a tangent of x, its derivative along it
//   visit(self, visit)                shows every member to `visit`, in order
//
// `Value` makes it differentiable twice. Second order: with g = adjoint(h) and an incoming v = dL/dg,
//   dL/dh = dF/dx v = value(v)    and    dL/dx = d/dx (v . g) = adjoint(h, v),
// the derivatives along v of the value and of the adjoint (dual numbers in the kernels). A third order is refused.
// A map that makes both in one pass has value_and_adjoint(h, v) as well. A map that does several steps in one pass has value(), adjoint(h) and composed_gradient(h), which goes step by step and is
// taken where the gradient must itself be differentiable.
#pragma once

#include <torch/csrc/autograd/custom_function.h>

#include <string>
#include <type_traits>
#include <vector>

#include "compute.hpp"

namespace rhopot {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr const char* DENSITY_REFERENCE = "rhopot.potentials.density.reference";

inline bool wants_gradient(const Tensor& tensor) { return at::GradMode::is_enabled() && tensor.requires_grad(); }

inline void refuse_gradient(const Tensor& tensor, const char* name, const char* reference = DENSITY_REFERENCE) {
    TORCH_CHECK_NOT_IMPLEMENTED(!wants_gradient(tensor), name, " must not require a gradient here; use ", reference,
                                ", or detach it");
}

// ---- what a context keeps: the tensors of a map, its numbers, then further tensors

template <class Map> void save(AutogradContext* ctx, const Map& map, const variable_list& more = {}) {
    variable_list tensors;
    Map::visit(map, [&](const auto& member) {
        if constexpr (std::is_same_v<std::decay_t<decltype(member)>, Tensor>) tensors.push_back(member);
        else ctx->saved_data[std::to_string(ctx->saved_data.size())] = member;
    });
    tensors.insert(tensors.end(), more.begin(), more.end());
    ctx->save_for_backward(tensors);
}

inline void read(const c10::IValue& from, double& to) { to = from.toDouble(); }
inline void read(const c10::IValue& from, std::int64_t& to) { to = from.toInt(); }
inline void read(const c10::IValue& from, bool& to) { to = from.toBool(); }
inline void read(const c10::IValue& from, std::string& to) { to = from.toStringRef(); }
inline void read(const c10::IValue& from, std::vector<std::int64_t>& to) { to = from.toIntVector(); }
inline void read(const c10::IValue& from, std::vector<double>& to) { to = from.toDoubleVector(); }

template <class Map> struct Saved {
    Map map{};
    variable_list more;

    explicit Saved(AutogradContext* ctx) {
        const variable_list tensors = ctx->get_saved_variables();
        std::size_t n_tensors = 0, n_numbers = 0;
        Map::visit(map, [&](auto& member) {
            if constexpr (std::is_same_v<std::decay_t<decltype(member)>, Tensor>) member = tensors[n_tensors++];
            else read(ctx->saved_data.at(std::to_string(n_numbers++)), member);
        });
        more.assign(tensors.begin() + std::ptrdiff_t(n_tensors), tensors.end());
    }
};

// ---- a map and its two derivatives

// (dL/dh, dL/dx) of the gradient
template <class Map> struct Second : torch::autograd::Function<Second<Map>> {
    static variable_list forward(AutogradContext*, const Tensor&, const Tensor& h, const Tensor& tangent, const Map& map) {
        at::AutoDispatchBelowADInplaceOrView guard;
        if constexpr (requires { map.value_and_adjoint(h, tangent); }) return map.value_and_adjoint(h, tangent);
        else return {map.value(tangent), map.adjoint(h, tangent)};
    }
    static variable_list backward(AutogradContext*, const variable_list&) {
        TORCH_CHECK_NOT_IMPLEMENTED(false, Map::NAME, " has no third derivative; use ", Map::REFERENCE, " for it");
    }
};

template <class Map> struct Gradient : torch::autograd::Function<Gradient<Map>> {
    static Tensor forward(AutogradContext* ctx, const Tensor&, const Tensor& h, const Map& map) {
        at::AutoDispatchBelowADInplaceOrView guard;
        save(ctx, map, {h});
        return map.adjoint(h);
    }
    static variable_list backward(AutogradContext* ctx, const variable_list& incoming) {
        const Saved<Map> saved(ctx);
        const auto second = Second<Map>::apply(saved.map.variable(), saved.more[0], incoming[0], saved.map);
        return {second[1], second[0], Tensor()};
    }
};

template <class Map> Tensor gradient_of(const Map& map, const Tensor& h) {
    if constexpr (requires { map.composed_gradient(h); }) {
        return at::GradMode::is_enabled() ? map.composed_gradient(h) : map.adjoint(h);
    } else {
        return Gradient<Map>::apply(map.variable(), h, map);
    }
}

template <class Map> struct Value : torch::autograd::Function<Value<Map>> {
    static Tensor forward(AutogradContext* ctx, const Tensor&, const Map& map) {
        at::AutoDispatchBelowADInplaceOrView guard;
        save(ctx, map);
        return map.value();
    }
    static variable_list backward(AutogradContext* ctx, const variable_list& incoming) {
        return {gradient_of(Saved<Map>(ctx).map, incoming[0]), Tensor()};
    }
};

template <class Map> Tensor value_of(const Map& map) { return Value<Map>::apply(map.variable(), map); }

// ---- the density expansion c(r)

struct Expansion {
    static constexpr const char *NAME = "density_expansion_v1", *REFERENCE = DENSITY_REFERENCE;
    GraphArguments graph;

    const Tensor& variable() const { return graph.edge_vectors; }
    Tensor value(const Tensor& tangents = {}) const { return expand(graph, tangents); }
    Tensor adjoint(const Tensor& h, const Tensor& tangents = {}) const { return expand_adjoint(graph, h, tangents); }
    template <class Self, class Visit> static void visit(Self& self, const Visit& visit) {
        GraphArguments::visit(self.graph, visit);
    }
};

// the gradient of an invariant of the density by the edge vectors, itself differentiable: h = dL/d(invariant)
template <class Invariant, class... More>
Tensor gradient_by_steps(const GraphArguments& graph, const Tensor& h, const More&... more) {
    const Expansion expansion{graph};
    return gradient_of(expansion, gradient_of(Invariant{value_of(expansion), more...}, h));
}

// ---- the argument list of all operators on a graph and radial functions

#define RHOPOT_GRAPH_PARAMETERS                                                                                             \
    const Tensor &edge_vectors, const Tensor &first_edge, const Tensor &neighbour, const Tensor &centre,                    \
        const Tensor &species, const Tensor &radial, double cutoff, const Tensor &species_channel, std::int64_t n_channels, \
        double center_weight
#define RHOPOT_GRAPH_VALUES \
    edge_vectors, first_edge, neighbour, centre, species, radial, cutoff, species_channel, n_channels, center_weight

#define RHOPOT_GRAPH_SCHEMA                                                                                    \
    "Tensor edge_vectors, Tensor first_edge, Tensor neighbour, Tensor centre, Tensor species, Tensor radial, " \
    "float cutoff, Tensor species_channel, int n_channels, float center_weight"

}  // namespace rhopot
