// The operators of multispectra: schemas, CPU kernels and autograd.
#include <torch/library.h>

#include "density/kernels/autograd.hpp"
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
    terms.check(density);
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

}  // namespace

TORCH_LIBRARY_FRAGMENT(rhopot, m) {
    m.def("multispectrum_v1(Tensor density, " RHOPOT_TERM_SCHEMA ") -> Tensor");
    m.def("multispectrum_derivative_v1(Tensor density, Tensor tangent, " RHOPOT_TERM_SCHEMA ") -> Tensor");
}
TORCH_LIBRARY_IMPL(rhopot, CPU, m) {
    m.impl("multispectrum_v1", multispectrum_plain);
    m.impl("multispectrum_derivative_v1", multispectrum_derivative);
}
TORCH_LIBRARY_IMPL(rhopot, AutogradCPU, m) {
    m.impl("multispectrum_v1", multispectrum_autograd);
    m.impl("multispectrum_derivative_v1", multispectrum_derivative_autograd);
}

}  // namespace rhopot
