// The operators of the engine: schemas, CPU kernels and autograd.
#include <torch/library.h>

#include "autograd.hpp"

namespace rhopot {
namespace {

Tensor density_expansion_plain(RHOPOT_GRAPH_PARAMETERS) { return expand(graph_arguments(RHOPOT_GRAPH_VALUES)); }
Tensor density_expansion_autograd(RHOPOT_GRAPH_PARAMETERS) {
    refuse_gradient(radial, "radial");
    return value_of(Expansion{graph_arguments(RHOPOT_GRAPH_VALUES)});
}

}  // namespace

TORCH_LIBRARY(rhopot, m) {
    m.def("density_expansion_v1(" RHOPOT_GRAPH_SCHEMA ") -> Tensor");
    m.def("kernel_variant() -> str", [] { return std::string(name_of(instruction_set())); });
    m.def("operators_version() -> str", [] { return std::string(RHOPOT_OPERATORS_VERSION); });
}

TORCH_LIBRARY_IMPL(rhopot, CPU, m) { m.impl("density_expansion_v1", density_expansion_plain); }
TORCH_LIBRARY_IMPL(rhopot, AutogradCPU, m) { m.impl("density_expansion_v1", density_expansion_autograd); }

}  // namespace rhopot
