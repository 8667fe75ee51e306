// The operators of multispectra and of linear models on them: schemas, CPU kernels and autograd.
#include <torch/library.h>

#include "density/kernels/energies.hpp"
#include "multispectrum.hpp"

namespace rhopot {
namespace {

#define RHOPOT_TERM_PARAMETERS                                                                                                 \
    const Tensor &one, const Tensor &two, const Tensor &pairs, const Tensor &three, const Tensor &four, const Tensor &degrees, \
        const Tensor &first_entry, const Tensor &entries, const Tensor &values
#define RHOPOT_TERM_SCHEMA                                                                                  \
    "Tensor one, Tensor two, Tensor pairs, Tensor three, Tensor four, Tensor degrees, Tensor first_entry, " \
    "Tensor entries, Tensor values"
#define RHOPOT_TERM_VALUES one, two, pairs, three, four, degrees, first_entry, entries, values

TermTensors terms_of(const Tensor& density, RHOPOT_TERM_PARAMETERS) {
    const TermTensors terms{RHOPOT_TERM_VALUES};
    terms.check(density_degree(density) + 1, density.size(2));
    return terms;
}
TermTensors terms_of(const GraphArguments& graph, RHOPOT_TERM_PARAMETERS) {
    const TermTensors terms{RHOPOT_TERM_VALUES};
    terms.check(graph.l_max() + 1, graph.width());
    return terms;
}

// p(c)
struct Spectrum {
    static constexpr const char *NAME = "multispectrum_v1",
                                *REFERENCE = "rhopot.potentials.descriptors.multispectrum.reference";
    Tensor density;
    TermTensors terms;

    const Tensor& variable() const { return density; }
    Tensor value(const Tensor& tangent = {}) const { return multispectrum(terms, density, tangent); }
    Tensor adjoint(const Tensor& h, const Tensor& tangent = {}) const {
        return multispectrum_adjoint(terms, density, h, tangent);
    }
    template <class Self, class Visit> static void visit(Self& self, const Visit& visit) {
        visit(self.density);
        TermTensors::visit(self.terms, visit);
    }
};

// e = sum_f w_f p_f, by centre
struct LinearOnSpectrum {
    GraphArguments graph;
    TermTensors terms;
    Tensor weights;  // [1 or A, F, 1+K]

    AtomEnergies energies(bool members, bool want_gradient) const {
        return multispectrum_linear(graph, terms, weights, members, want_gradient);
    }
    Tensor composed_gradient(const Tensor& h) const {
        return gradient_by_steps<Spectrum>(graph, weigh(graph, weights, h), terms);
    }
    Tensor gradient_of_members(const Tensor& h) const {
        const Tensor by_features = weigh(graph, weights.narrow(2, 1, h.size(1)), h);
        return expand_adjoint(graph, multispectrum_adjoint(terms, expand(graph), by_features));
    }
    template <class Self, class Visit> static void visit(Self& self, const Visit& visit) {
        GraphArguments::visit(self.graph, visit);
        TermTensors::visit(self.terms, visit);
        visit(self.weights);
    }
};

Tensor multispectrum_plain(const Tensor& density, RHOPOT_TERM_PARAMETERS) {
    return multispectrum(terms_of(density, RHOPOT_TERM_VALUES), density);
}
Tensor multispectrum_autograd(const Tensor& density, RHOPOT_TERM_PARAMETERS) {
    return value_of(Spectrum{density, terms_of(density, RHOPOT_TERM_VALUES)});
}
Tensor multispectrum_derivative(const Tensor& density, const Tensor& tangent, RHOPOT_TERM_PARAMETERS) {
    TORCH_CHECK_VALUE(tangent.sizes() == density.sizes(), "tangent must have the shape of density (", density.sizes(),
                      "), got ", tangent.sizes());
    TORCH_CHECK_TYPE(tangent.scalar_type() == density.scalar_type(), "tangent must have the dtype of density (",
                     density.scalar_type(), "), got ", tangent.scalar_type());
    return multispectrum(terms_of(density, RHOPOT_TERM_VALUES), density, tangent);
}

Tensor multispectrum_derivative_autograd(const Tensor& density, const Tensor& tangent, RHOPOT_TERM_PARAMETERS) {
    refuse_gradient(density, "density", Spectrum::REFERENCE);
    refuse_gradient(tangent, "tangent", Spectrum::REFERENCE);
    at::AutoDispatchBelowADInplaceOrView guard;
    return multispectrum_derivative(density, tangent, RHOPOT_TERM_VALUES);
}

std::tuple<Tensor, Tensor> multispectrum_jacobian_plain(RHOPOT_GRAPH_PARAMETERS, RHOPOT_TERM_PARAMETERS) {
    const GraphArguments graph = graph_arguments(RHOPOT_GRAPH_VALUES);
    return multispectrum_jacobian(graph, terms_of(graph, RHOPOT_TERM_VALUES));
}
std::tuple<Tensor, Tensor> multispectrum_jacobian_autograd(RHOPOT_GRAPH_PARAMETERS, RHOPOT_TERM_PARAMETERS) {
    refuse_gradient(radial, "radial");
    refuse_gradient(edge_vectors, "edge_vectors");
    at::AutoDispatchBelowADInplaceOrView guard;
    return multispectrum_jacobian_plain(RHOPOT_GRAPH_VALUES, RHOPOT_TERM_VALUES);
}

Tensor multispectrum_linear_plain(RHOPOT_GRAPH_PARAMETERS, RHOPOT_TERM_PARAMETERS, const Tensor& weights, bool members) {
    const GraphArguments graph = graph_arguments(RHOPOT_GRAPH_VALUES);
    return multispectrum_linear(graph, terms_of(graph, RHOPOT_TERM_VALUES), weights, members, false).energies;
}
Tensor multispectrum_linear_autograd(RHOPOT_GRAPH_PARAMETERS, RHOPOT_TERM_PARAMETERS, const Tensor& weights, bool members) {
    refuse_gradient(radial, "radial");
    refuse_gradient(weights, "weights");
    if (!wants_gradient(edge_vectors)) {
        at::AutoDispatchBelowADInplaceOrView guard;
        return multispectrum_linear_plain(RHOPOT_GRAPH_VALUES, RHOPOT_TERM_VALUES, weights, members);
    }
    const GraphArguments graph = graph_arguments(RHOPOT_GRAPH_VALUES);
    return energies_of(LinearOnSpectrum{graph, terms_of(graph, RHOPOT_TERM_VALUES), weights}, members);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rhopot, m) {
    m.def("multispectrum_jacobian_v1(" RHOPOT_GRAPH_SCHEMA ", " RHOPOT_TERM_SCHEMA ") -> (Tensor, Tensor)");
    m.def("multispectrum_linear_v1(" RHOPOT_GRAPH_SCHEMA ", " RHOPOT_TERM_SCHEMA ", Tensor weights, bool members) -> Tensor");
    m.def("multispectrum_v1(Tensor density, " RHOPOT_TERM_SCHEMA ") -> Tensor");
    m.def("multispectrum_derivative_v1(Tensor density, Tensor tangent, " RHOPOT_TERM_SCHEMA ") -> Tensor");
}
TORCH_LIBRARY_IMPL(rhopot, CPU, m) {
    m.impl("multispectrum_v1", multispectrum_plain);
    m.impl("multispectrum_derivative_v1", multispectrum_derivative);
    m.impl("multispectrum_jacobian_v1", multispectrum_jacobian_plain);
    m.impl("multispectrum_linear_v1", multispectrum_linear_plain);
}
TORCH_LIBRARY_IMPL(rhopot, AutogradCPU, m) {
    m.impl("multispectrum_v1", multispectrum_autograd);
    m.impl("multispectrum_derivative_v1", multispectrum_derivative_autograd);
    m.impl("multispectrum_jacobian_v1", multispectrum_jacobian_autograd);
    m.impl("multispectrum_linear_v1", multispectrum_linear_autograd);
}

}  // namespace rhopot
