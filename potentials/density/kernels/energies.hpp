// Energies of atoms that are made in one pass with their gradient, and autograd around them.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/repeat_interleave.h>

#include "autograd.hpp"
#include "read_out.hpp"

namespace rhopot {

// grad_out[centre of e] for every edge
inline Tensor per_edge(const GraphArguments& a, const Tensor& per_centre) {
    const Tensor counts = a.first_edge.narrow(0, 1, a.n_centres()) - a.first_edge.narrow(0, 0, a.n_centres());
    return at::repeat_interleave(per_centre, counts, 0, a.n_edges());
}

// dL/dr for energies with `gradient` = g = d(sum of the first column)/dr, and dL/d(energies) = h; as a rule the first
// column of h is one, and g is handed on as it is
inline Tensor of_first_column(const GraphArguments& a, const Tensor& gradient, const Tensor& h) {
    const Tensor first = h.select(1, 0);
    if (first.eq(1).all().item<bool>()) return gradient.clone();
    return gradient * per_edge(a, first.unsqueeze(1));
}

// Energies of atoms and members. A model holds its graph, and has energies(members, want_gradient); composed_gradient(h), which is
// differentiable; gradient_of_members(h), for dL/de of the members alone; and visit.
template <class Model> struct Energies : torch::autograd::Function<Energies<Model>> {
    static Tensor forward(AutogradContext* ctx, const Tensor&, const Model& model, bool members) {
        at::AutoDispatchBelowADInplaceOrView guard;
        const AtomEnergies result = model.energies(members, true);
        save(ctx, model, {result.gradient});
        return result.energies;
    }
    static variable_list backward(AutogradContext* ctx, const variable_list& incoming) {
        const Saved<Model> saved(ctx);
        const Tensor& h = incoming[0];
        if (at::GradMode::is_enabled()) return {saved.map.composed_gradient(h), Tensor(), Tensor()};
        Tensor g = of_first_column(saved.map.graph, saved.more[0], h);
        const Tensor rest = h.narrow(1, 1, h.size(1) - 1);
        if (rest.numel() > 0 && rest.any().item<bool>()) g = g + saved.map.gradient_of_members(rest);
        return {g, Tensor(), Tensor()};
    }
};

template <class Model> Tensor energies_of(const Model& model, bool members) {
    return Energies<Model>::apply(model.graph.edge_vectors, model, members);
}

}  // namespace rhopot
