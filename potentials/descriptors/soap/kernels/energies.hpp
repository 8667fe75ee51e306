// What autograd needs of the power spectrum, and the derivative of energies of atoms on it.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/repeat_interleave.h>

#include "density/kernels/autograd.hpp"
#include "soap.hpp"

namespace rhopot {

// p(c)
struct PowerSpectrum {
    static constexpr const char *NAME = "power_spectrum_v1", *REFERENCE = DENSITY_REFERENCE;
    Tensor density;

    const Tensor& variable() const { return density; }
    Tensor value(const Tensor& tangent = {}) const { return power(density, tangent); }
    // linear in the density
    Tensor adjoint(const Tensor& h, const Tensor& tangent = {}) const {
        return power_adjoint(tangent.defined() ? tangent : density, h);
    }
    template <class Self, class Visit> static void visit(Self& self, const Visit& visit) { visit(self.density); }
};

// p(r) in one pass
struct Soap {
    GraphArguments graph;

    const Tensor& variable() const { return graph.edge_vectors; }
    Tensor value() const { return soap(graph); }
    Tensor adjoint(const Tensor& h) const { return soap_adjoint(graph, h); }
    Tensor composed_gradient(const Tensor& h) const { return gradient_by_steps<PowerSpectrum>(graph, h); }
    template <class Self, class Visit> static void visit(Self& self, const Visit& visit) {
        GraphArguments::visit(self.graph, visit);
    }
};

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
