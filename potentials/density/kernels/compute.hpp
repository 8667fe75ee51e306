// The expansion on tensors, without autograd.
#pragma once

#include "arguments.hpp"

namespace rhopot {

// c[C, LM, U]; with tangents [E, 3] its derivative along them
at::Tensor expand(const GraphArguments& a, const at::Tensor& tangents = {});
// g[E, 3] for d[C, LM, U]; with tangents its derivative along them
at::Tensor expand_adjoint(const GraphArguments& a, const at::Tensor& adjoint, const at::Tensor& tangents = {});

}  // namespace rhopot
