// Forces from a stored Jacobian, for training on it: g[k, e, a] = sum_f J[e, a, f] gradient[k, i(e), f], and its adjoint
//   gradient_adjoint[k, i, f] = sum over edges e of centre i and axes a of v[k, e, a] J[e, a, f].
// The Jacobian is a constant: it has no gradient, and the forces are linear in the gradients.
#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "density/kernels/autograd.hpp"
#include "read_out_kernels.hpp"

namespace rhopot {
namespace {

void check_jacobian(const Tensor& jacobian, const Tensor& first_edge, const Tensor& gradient) {
    const auto type = jacobian.scalar_type();
    TORCH_CHECK_VALUE(
        jacobian.device().is_cpu() && first_edge.device().is_cpu() && gradient.device().is_cpu(),
        "jacobian, first_edge and gradient must be on the CPU; use rhopot.potentials.density.reference elsewhere");
    TORCH_CHECK_TYPE(type == at::kDouble || type == at::kFloat, "jacobian must be float64 or float32, got ", type);
    TORCH_CHECK_VALUE(jacobian.dim() == 3 && jacobian.size(1) == 3, "jacobian must be of shape (E, 3, F), got ",
                      jacobian.sizes());
    const std::int64_t n = first_edge.numel() - 1;
    check_offsets(first_edge, n, jacobian.size(0));
    TORCH_CHECK_TYPE(gradient.scalar_type() == type, "gradient must have the dtype of jacobian (", type, "), got ",
                     gradient.scalar_type(), "; cast one of them");
    TORCH_CHECK_VALUE(gradient.dim() == 3 && gradient.size(1) == n && gradient.size(2) == jacobian.size(2),
                      "gradient must be of shape (K, ", n, ", ", jacobian.size(2), "), got ", gradient.sizes());
}

// Where a centre's numbers stand: its rows, and for `count` members from the first pointers on its gradients and its forces.
template <class T> struct Piece {
    RowBlock<T> block;
    int count;
    T *gradient, *forces;
    std::int64_t gradient_stride, forces_stride;
};

// work(kernels, piece, workspace) for every centre and every few members, in parallel
template <class Work>
void over_pieces(const Tensor& jacobian, const Tensor& first_edge, const Tensor& gradient, const Tensor& forces,
                 const Work& work) {
    const std::int64_t* first = first_edge.const_data_ptr<std::int64_t>();
    const std::int64_t n_edges = jacobian.size(0), n_features = jacobian.size(2), n_centres = first_edge.size(0) - 1;
    AT_DISPATCH_FLOATING_TYPES(jacobian.scalar_type(), "rhopot", [&] {
        const scalar_t* rows = jacobian.const_data_ptr<scalar_t>();
        scalar_t *h = gradient.data_ptr<scalar_t>(), *g = forces.data_ptr<scalar_t>();
        at::parallel_for(0, n_centres, 16, [&](std::int64_t begin, std::int64_t end) {
            scalar_t* workspace = thread_workspace<scalar_t>(MEMBERS_AT_ONCE * n_features);
            for (std::int64_t i = begin; i < end; ++i) {
                const RowBlock<scalar_t> block{rows + 3 * first[i] * n_features, 3 * (first[i + 1] - first[i]), n_features};
                for (std::int64_t k = 0; k < gradient.size(0); k += MEMBERS_AT_ONCE) {
                    const int count = int(std::min<std::int64_t>(gradient.size(0) - k, MEMBERS_AT_ONCE));
                    const Piece<scalar_t> piece{block,
                                                count,
                                                h + (k * n_centres + i) * n_features,
                                                g + 3 * (k * n_edges + first[i]),
                                                n_centres * n_features,
                                                3 * n_edges};
                    work(row_kernels<scalar_t>(), piece, workspace);
                }
            }
        });
    });
}

Tensor forces_of(const Tensor& jacobian, const Tensor& first_edge, const Tensor& gradient) {
    Tensor forces = at::empty({gradient.size(0), jacobian.size(0), 3}, gradient.options());
    over_pieces(jacobian, first_edge, gradient, forces, [](auto& kernels, auto& p, auto* workspace) {
        kernels.dot(p.block, p.count, p.gradient, p.gradient_stride, p.forces, p.forces_stride, workspace);
    });
    return forces;
}

Tensor gradients_of(const Tensor& jacobian, const Tensor& first_edge, const Tensor& forces) {
    Tensor gradient = at::empty({forces.size(0), first_edge.size(0) - 1, jacobian.size(2)}, forces.options());
    over_pieces(jacobian, first_edge, gradient, forces, [](auto& kernels, auto& p, auto*) {
        kernels.gather(p.block, p.count, p.forces, p.forces_stride, p.gradient, p.gradient_stride);
    });
    return gradient;
}

struct JacobianForces : torch::autograd::Function<JacobianForces> {
    static Tensor forward(AutogradContext* ctx, const Tensor& gradient, const Tensor& jacobian, const Tensor& first_edge) {
        at::AutoDispatchBelowADInplaceOrView guard;
        ctx->save_for_backward({jacobian, first_edge});
        return forces_of(jacobian, first_edge, gradient);
    }
    static variable_list backward(AutogradContext* ctx, const variable_list& incoming) {
        TORCH_CHECK_NOT_IMPLEMENTED(!at::GradMode::is_enabled(),
                                    "jacobian_forces has no second derivative; use rhopot.potentials.density.reference for it");
        const auto saved = ctx->get_saved_variables();
        return {gradients_of(saved[0], saved[1], incoming[0].contiguous()), Tensor(), Tensor()};
    }
};

Tensor jacobian_forces_plain(const Tensor& jacobian, const Tensor& first_edge, const Tensor& gradient) {
    check_jacobian(jacobian, first_edge, gradient);
    return forces_of(jacobian.contiguous(), first_edge.contiguous(), gradient.contiguous());
}
Tensor jacobian_forces_autograd(const Tensor& jacobian, const Tensor& first_edge, const Tensor& gradient) {
    refuse_gradient(jacobian, "jacobian");
    check_jacobian(jacobian, first_edge, gradient);
    return JacobianForces::apply(gradient.contiguous(), jacobian.contiguous(), first_edge.contiguous());
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rhopot, m) { m.def("jacobian_forces(Tensor jacobian, Tensor first_edge, Tensor slope) -> Tensor"); }
TORCH_LIBRARY_IMPL(rhopot, CPU, m) { m.impl("jacobian_forces", jacobian_forces_plain); }
TORCH_LIBRARY_IMPL(rhopot, AutogradCPU, m) { m.impl("jacobian_forces", jacobian_forces_autograd); }

}  // namespace rhopot
