// The operators of the symmetry functions: schemas, CPU kernels and autograd.
#include <torch/library.h>

#include "density/kernels/autograd.hpp"
#include "symmetry.hpp"

namespace rhopot {
namespace {

// G(r)
struct SymmetryFunctions {
    static constexpr const char *NAME = "symmetry_functions_v1", *REFERENCE = SYMMETRY_REFERENCE;
    SymmetryArguments a;

    const Tensor& variable() const { return a.edge_vectors; }
    Tensor value(const Tensor& tangents = {}) const { return symmetry_values(a, tangents); }
    Tensor adjoint(const Tensor& h, const Tensor& tangents = {}) const { return symmetry_adjoint(a, h, tangents); }
    template <class Self, class Visit> static void visit(Self& self, const Visit& visit) {
        SymmetryArguments::visit(self.a, visit);
    }
};

#define RHOPOT_PARAMETERS                                                                                               \
    const Tensor &edge_vectors, const Tensor &first_edge, const Tensor &neighbour, const Tensor &centre,                \
        const Tensor &species, const Tensor &radial, const Tensor &angular, at::IntArrayRef zeta, at::IntArrayRef sign, \
        double cutoff, double cutoff_width, c10::string_view cutoff_function, std::int64_t n_species
#define RHOPOT_VALUES                                                                                                         \
    edge_vectors, first_edge, neighbour, centre, species, radial, angular, zeta, sign, cutoff, cutoff_width, cutoff_function, \
        n_species

SymmetryArguments arguments(RHOPOT_PARAMETERS) {
    SymmetryArguments a{
        {edge_vectors.contiguous(), first_edge.contiguous(), neighbour.contiguous(), centre.contiguous(), species.contiguous()},
        radial.contiguous(),
        angular.contiguous(),
        zeta.vec(),
        sign.vec(),
        cutoff,
        cutoff_width,
        std::string(cutoff_function),
        n_species};
    a.check();
    return a;
}

void refuse_parameters(const Tensor& radial, const Tensor& angular) {
    refuse_gradient(radial, "radial", SYMMETRY_REFERENCE);
    refuse_gradient(angular, "angular", SYMMETRY_REFERENCE);
}

Tensor functions_plain(RHOPOT_PARAMETERS) { return symmetry_values(arguments(RHOPOT_VALUES)); }
Tensor functions_autograd(RHOPOT_PARAMETERS) {
    refuse_parameters(radial, angular);
    return value_of(SymmetryFunctions{arguments(RHOPOT_VALUES)});
}

std::tuple<Tensor, Tensor> jacobian_plain(RHOPOT_PARAMETERS) { return symmetry_jacobian(arguments(RHOPOT_VALUES)); }
std::tuple<Tensor, Tensor> jacobian_autograd(RHOPOT_PARAMETERS) {
    refuse_parameters(radial, angular);
    refuse_gradient(edge_vectors, "edge_vectors", SYMMETRY_REFERENCE);
    at::AutoDispatchBelowADInplaceOrView guard;
    return jacobian_plain(RHOPOT_VALUES);
}

#define RHOPOT_SCHEMA                                                                                          \
    "Tensor edge_vectors, Tensor first_edge, Tensor neighbour, Tensor centre, Tensor species, Tensor radial, " \
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
