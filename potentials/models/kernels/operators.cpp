// The operator of sparse-kernel models: schema, CPU kernel and autograd.
#include <torch/library.h>

#include "descriptors/soap/kernels/energies.hpp"
#include "sparse.hpp"

namespace rhopot {
namespace {

struct Gap {
    GraphArguments graph;
    SparseModel model;

    AtomEnergies energies(bool members, bool want_gradient) const { return soap_gap(graph, model, members, want_gradient); }
    Tensor composed_gradient(const Tensor& h) const {
        return gradient_by_steps<PowerSpectrum>(graph, sparse_adjoint(graph, model, value_of(Soap{graph}), h));
    }
    Tensor gradient_of_members(const Tensor& h) const {
        SparseModel members = model;
        members.weights = model.weights.narrow(1, 1, h.size(1));
        return soap_adjoint(graph, sparse_adjoint(graph, members, soap(graph), h));
    }
    template <class Self, class Visit> static void visit(Self& self, const Visit& visit) {
        GraphArguments::visit(self.graph, visit);
        SparseModel::visit(self.model, visit);
    }
};

#define RHOPOT_SPARSE_PARAMETERS                                                                 \
    const Tensor &points, at::IntArrayRef first_point, const Tensor &weights, std::int64_t zeta, \
        const std::optional<Tensor>&features, bool members

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
    if (!wants_gradient(edge_vectors)) {
        at::AutoDispatchBelowADInplaceOrView guard;
        return soap_gap_plain(RHOPOT_GRAPH_VALUES, points, first_point, weights, zeta, features, members);
    }
    const auto a = graph_arguments(RHOPOT_GRAPH_VALUES);
    return energies_of(Gap{a, sparse_model(a, points, first_point, weights, zeta, features)}, members);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rhopot, m) {
    m.def("soap_gap_v1(" RHOPOT_GRAPH_SCHEMA
          ", Tensor points, int[] first_point, Tensor weights, int zeta, Tensor? features, bool members) -> Tensor");
}
TORCH_LIBRARY_IMPL(rhopot, CPU, m) { m.impl("soap_gap_v1", soap_gap_plain); }
TORCH_LIBRARY_IMPL(rhopot, AutogradCPU, m) { m.impl("soap_gap_v1", soap_gap_autograd); }

}  // namespace rhopot
