// The operator of the exchange between layers: schema and autograd. On any device; rows travel through the processor.
#include "exchange.hpp"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <utility>

#include "density/kernels/autograd.hpp"

namespace rhopot {
namespace {

thread_local FeatureExchange* current = nullptr;

Tensor sent(const Tensor& x, FeatureExchange& exchange, bool to_owners) {
    const Tensor rows = x.detach().to(at::kCPU).contiguous().clone();
    const FeatureRows of_atoms{rows.mutable_data_ptr(), rows.size(0), rows.size(1), rows.scalar_type() == at::kFloat};
    if (to_owners) exchange.to_owners(of_atoms);
    else exchange.to_ghosts(of_atoms);
    return rows.to(x.device());
}

// Linear: the derivative is the same exchange the other way. What it goes through is kept, since gradients may be computed in
// another thread.
template <bool TO_OWNERS> struct Sent : torch::autograd::Function<Sent<TO_OWNERS>> {
    static Tensor forward(AutogradContext* ctx, const Tensor& x, std::int64_t exchange) {
        ctx->saved_data["exchange"] = exchange;
        return sent(x, *reinterpret_cast<FeatureExchange*>(exchange), TO_OWNERS);
    }
    static variable_list backward(AutogradContext* ctx, const variable_list& incoming) {
        return {Sent<!TO_OWNERS>::apply(incoming[0], ctx->saved_data["exchange"].toInt()), Tensor()};
    }
};

Tensor exchange(const Tensor& x) {
    const auto type = x.scalar_type();
    TORCH_CHECK_VALUE(x.dim() == 2, "x must be rows of features (N, d), got ", x.sizes());
    TORCH_CHECK_TYPE(type == at::kDouble || type == at::kFloat, "x must be float64 or float32, got ", type);
    if (!current) return x.clone();
    return Sent<false>::apply(x, reinterpret_cast<std::int64_t>(current));
}

}  // namespace

FeatureExchange* use_exchange(FeatureExchange* exchange) { return std::exchange(current, exchange); }

TORCH_LIBRARY_FRAGMENT(rhopot, m) { m.def("exchange_v1(Tensor x) -> Tensor", exchange); }

}  // namespace rhopot
