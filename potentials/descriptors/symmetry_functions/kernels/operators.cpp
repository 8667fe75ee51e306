// The operators of the symmetry functions: schemas and autograd in C++, as those of the density engine.
//
// First order: the adjoint kernel. Second order: with g = sum d dG/dr and an incoming v = dL/dg,
//   dL/dd = (dG/dr) v    and    dL/dr = d/dr (v . g),
// the derivatives along v of the values and of the adjoint (dual numbers). A third order is refused.
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "symmetry.hpp"

namespace rhopot {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

void refuse_gradient(const Tensor& tensor, const char* name) {
    TORCH_CHECK_NOT_IMPLEMENTED(!(at::GradMode::is_enabled() && tensor.requires_grad()), name,
                                " must not require a gradient here; use rhopot.potentials.descriptors.symmetry_functions.reference, "
                                "or detach it");
}

void save(AutogradContext* ctx, const SymmetryArguments& a, const Tensor& incoming = {}) {
    variable_list all{a.edge_vectors, a.first_edge, a.neighbour, a.centre, a.species, a.radial, a.angular};
    if (incoming.defined()) all.push_back(incoming);
    ctx->save_for_backward(all);
    ctx->saved_data["zeta"] = a.zeta;
    ctx->saved_data["sign"] = a.sign;
    ctx->saved_data["cutoff"] = a.cutoff;
    ctx->saved_data["width"] = a.width;
    ctx->saved_data["fade"] = a.fade;
    ctx->saved_data["n_species"] = a.n_species;
}

SymmetryArguments restore(AutogradContext* ctx, const variable_list& saved) {
    auto& data = ctx->saved_data;
    return {saved[0], saved[1], saved[2], saved[3], saved[4], saved[5], saved[6], data["zeta"].toIntVector(),
            data["sign"].toIntVector(), data["cutoff"].toDouble(), data["width"].toDouble(), data["fade"].toStringRef(),
            data["n_species"].toInt()};
}

// (dL/dd, dL/dr) of the gradient
struct Second : torch::autograd::Function<Second> {
    static variable_list forward(AutogradContext*, const Tensor&, const Tensor& incoming, const Tensor& tangents,
                                 const SymmetryArguments& a) {
        at::AutoDispatchBelowADInplaceOrView guard;
        return {symmetry_values(a, tangents), symmetry_adjoint(a, incoming, tangents)};
    }
    static variable_list backward(AutogradContext*, const variable_list&) {
        TORCH_CHECK_NOT_IMPLEMENTED(false, "symmetry_functions_v1 has no third derivative; use "
                                           "rhopot.potentials.descriptors.symmetry_functions.reference for it");
    }
};

struct Gradient : torch::autograd::Function<Gradient> {
    static Tensor forward(AutogradContext* ctx, const Tensor&, const Tensor& incoming, const SymmetryArguments& a) {
        at::AutoDispatchBelowADInplaceOrView guard;
        save(ctx, a, incoming);
        return symmetry_adjoint(a, incoming);
    }
    static variable_list backward(AutogradContext* ctx, const variable_list& incoming) {
        const auto saved = ctx->get_saved_variables();
        const auto a = restore(ctx, saved);
        const auto second = Second::apply(a.edge_vectors, saved[7], incoming[0], a);
        return {second[1], second[0], Tensor()};
    }
};

struct Values : torch::autograd::Function<Values> {
    static Tensor forward(AutogradContext* ctx, const Tensor&, const SymmetryArguments& a) {
        at::AutoDispatchBelowADInplaceOrView guard;
        save(ctx, a);
        return symmetry_values(a);
    }
    static variable_list backward(AutogradContext* ctx, const variable_list& incoming) {
        const auto a = restore(ctx, ctx->get_saved_variables());
        return {Gradient::apply(a.edge_vectors, incoming[0], a), Tensor()};
    }
};

#define RHOPOT_PARAMETERS                                                                                              \
    const Tensor &edge_vectors, const Tensor &first_edge, const Tensor &neighbour, const Tensor &centre,                \
        const Tensor &species, const Tensor &radial, const Tensor &angular, at::IntArrayRef zeta, at::IntArrayRef sign, \
        double cutoff, double cutoff_width, c10::string_view cutoff_function, std::int64_t n_species
#define RHOPOT_VALUES                                                                                                  \
    edge_vectors, first_edge, neighbour, centre, species, radial, angular, zeta, sign, cutoff, cutoff_width,            \
        cutoff_function, n_species

SymmetryArguments arguments(RHOPOT_PARAMETERS) {
    SymmetryArguments a{edge_vectors.contiguous(), first_edge.contiguous(), neighbour.contiguous(), centre.contiguous(),
                        species.contiguous(), radial.contiguous(), angular.contiguous(), zeta.vec(), sign.vec(), cutoff,
                        cutoff_width, std::string(cutoff_function), n_species};
    a.check();
    return a;
}

void refuse_parameters(const Tensor& radial, const Tensor& angular) {
    refuse_gradient(radial, "radial");
    refuse_gradient(angular, "angular");
}

Tensor functions_plain(RHOPOT_PARAMETERS) { return symmetry_values(arguments(RHOPOT_VALUES)); }
Tensor functions_autograd(RHOPOT_PARAMETERS) {
    refuse_parameters(radial, angular);
    return Values::apply(edge_vectors, arguments(RHOPOT_VALUES));
}

std::tuple<Tensor, Tensor> jacobian_plain(RHOPOT_PARAMETERS) { return symmetry_jacobian(arguments(RHOPOT_VALUES)); }
std::tuple<Tensor, Tensor> jacobian_autograd(RHOPOT_PARAMETERS) {
    refuse_parameters(radial, angular);
    refuse_gradient(edge_vectors, "edge_vectors");
    at::AutoDispatchBelowADInplaceOrView guard;
    return jacobian_plain(RHOPOT_VALUES);
}

#define RHOPOT_SCHEMA                                                                                            \
    "Tensor edge_vectors, Tensor first_edge, Tensor neighbour, Tensor centre, Tensor species, Tensor radial, "   \
    "Tensor angular, int[] zeta, int[] sign, float cutoff, float cutoff_width, str cutoff_function, int n_species"

}  // namespace

TORCH_LIBRARY_FRAGMENT(rhopot, m) {
    m.def("symmetry_functions_v1(" RHOPOT_SCHEMA ") -> Tensor");
    m.def("symmetry_jacobian_v1(" RHOPOT_SCHEMA ") -> (Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(rhopot, CPU, m) {
    m.impl("symmetry_functions_v1", functions_plain);
    m.impl("symmetry_jacobian_v1", jacobian_plain);
}

TORCH_LIBRARY_IMPL(rhopot, AutogradCPU, m) {
    m.impl("symmetry_functions_v1", functions_autograd);
    m.impl("symmetry_jacobian_v1", jacobian_autograd);
}

}  // namespace rhopot
