// Multispectra of densities on tensors, without autograd.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "terms.hpp"

namespace rhopot {

// The terms as Python hands them over, see `potentials/descriptors/multispectrum/tables.py`.
struct TermTensors {
    at::Tensor one, two, pairs, three, four;         // int64, as in `terms.py`
    at::Tensor degrees, first_entry, entries, values;  // Clebsch-Gordan coefficients: [G, 3], [G + 1], [n, 3] m1 m2 m, [n]

    // throws c10::Error with one sentence when they do not fit each other or the density
    void check(const at::Tensor& density) const;
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

}  // namespace rhopot
