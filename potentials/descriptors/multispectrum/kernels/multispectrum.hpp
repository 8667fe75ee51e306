// Multispectra of densities on tensors, without autograd.
#pragma once

#include "density/kernels/read_out.hpp"
#include "terms.hpp"

namespace rhopot {

// The terms as Python hands them over, see `potentials/descriptors/multispectrum/tables.py`.
struct TermTensors {
    at::Tensor one, two, pairs, three, four;         // int64, as in `terms.py`
    at::Tensor degrees, first_entry, entries, values;  // Clebsch-Gordan coefficients: [G, 3], [G + 1], [n, 3] m1 m2 m, [n]

    // throws c10::Error with one sentence when they do not fit each other or a density [C, n_degrees^2, width]
    void check(std::int64_t n_degrees, std::int64_t width) const;
    std::int64_t n_features() const { return one.size(0) + two.size(0) + three.size(0) + four.size(0); }

    template <class Self, class Visit> static void visit(Self& self, const Visit& visit) {
        for (auto* member : {&self.one, &self.two, &self.pairs, &self.three, &self.four, &self.degrees, &self.first_entry,
                             &self.entries, &self.values}) {
            visit(*member);
        }
    }
};

// p[C, F]; with a tangent [C, LM, U] its derivative along it
at::Tensor multispectrum(const TermTensors& terms, const at::Tensor& density, const at::Tensor& tangent = {});
// d[C, LM, U] for h[C, F]; with a tangent its derivative along it
at::Tensor multispectrum_adjoint(const TermTensors& terms, const at::Tensor& density, const at::Tensor& adjoint,
                                 const at::Tensor& tangent = {});

// p[C, F] and dp[E, 3, F] of the densities of a graph
std::tuple<at::Tensor, at::Tensor> multispectrum_jacobian(const GraphArguments& a, const TermTensors& terms);
// energies of a linear model with weights [1 or A, F, 1+K]; throws when they do not fit
AtomEnergies multispectrum_linear(const GraphArguments& a, const TermTensors& terms, const at::Tensor& weights, bool members,
                                  bool want_gradient);

}  // namespace rhopot
