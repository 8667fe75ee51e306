// What autograd needs of the power spectrum.
#pragma once

#include "density/kernels/energies.hpp"
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

}  // namespace rhopot
