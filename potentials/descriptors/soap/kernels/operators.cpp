// The operators of the power spectrum and of linear models on it: schemas, CPU kernels and autograd.
#include <torch/library.h>

#include "energies.hpp"

namespace rhopot {
namespace {

// e = sum_f w_f p_f, by centre
struct Linear {
    GraphArguments graph;
    Tensor weights;  // [1 or A, F, 1+K]

    AtomEnergies energies(bool members, bool want_gradient) const {
        return soap_linear(graph, weights, members, want_gradient);
    }
    Tensor composed_gradient(const Tensor& h) const {
        return gradient_by_steps<PowerSpectrum>(graph, weigh(graph, weights, h));
    }
    Tensor gradient_of_members(const Tensor& h) const {
        return soap_adjoint(graph, weigh(graph, weights.narrow(2, 1, h.size(1)), h));
    }
    template <class Self, class Visit> static void visit(Self& self, const Visit& visit) {
        GraphArguments::visit(self.graph, visit);
        visit(self.weights);
    }
};

Tensor power_spectrum_plain(const Tensor& density) { return power(density); }
Tensor power_spectrum_autograd(const Tensor& density) { return value_of(PowerSpectrum{density}); }

Tensor soap_power_spectrum_plain(RHOPOT_GRAPH_PARAMETERS) { return soap(graph_arguments(RHOPOT_GRAPH_VALUES)); }
Tensor soap_power_spectrum_autograd(RHOPOT_GRAPH_PARAMETERS) {
    refuse_gradient(radial, "radial");
    return value_of(Soap{graph_arguments(RHOPOT_GRAPH_VALUES)});
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
    if (!wants_gradient(edge_vectors)) {
        at::AutoDispatchBelowADInplaceOrView guard;
        return soap_linear_plain(RHOPOT_GRAPH_VALUES, weights, members);
    }
    return energies_of(Linear{graph_arguments(RHOPOT_GRAPH_VALUES), weights}, members);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rhopot, m) {
    m.def("power_spectrum_v1(Tensor density) -> Tensor");
    m.def("soap_power_spectrum_v1(" RHOPOT_GRAPH_SCHEMA ") -> Tensor");
    m.def("soap_jacobian_v1(" RHOPOT_GRAPH_SCHEMA ") -> (Tensor, Tensor)");
    m.def("soap_linear_v1(" RHOPOT_GRAPH_SCHEMA ", Tensor weights, bool members) -> Tensor");
}

TORCH_LIBRARY_IMPL(rhopot, CPU, m) {
    m.impl("power_spectrum_v1", power_spectrum_plain);
    m.impl("soap_power_spectrum_v1", soap_power_spectrum_plain);
    m.impl("soap_jacobian_v1", soap_jacobian_plain);
    m.impl("soap_linear_v1", soap_linear_plain);
}

TORCH_LIBRARY_IMPL(rhopot, AutogradCPU, m) {
    m.impl("power_spectrum_v1", power_spectrum_autograd);
    m.impl("soap_power_spectrum_v1", soap_power_spectrum_autograd);
    m.impl("soap_jacobian_v1", soap_jacobian_autograd);
    m.impl("soap_linear_v1", soap_linear_autograd);
}

}  // namespace rhopot
