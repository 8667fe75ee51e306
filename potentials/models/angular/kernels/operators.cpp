// The operator of the angular filters: schema, CPU kernel and autograd.
#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <cmath>
#include <numeric>

#include "angular_kernels.hpp"
#include "density/kernels/arguments.hpp"
#include "density/kernels/autograd.hpp"

namespace rhopot {
namespace {

constexpr const char* ANGULAR_REFERENCE = "rhopot.potentials.models.angular.reference";
constexpr std::int64_t MOST_GAUSSIANS = 64, FILTERS_MULTIPLE = 8;  // whole packs of every instruction set

struct AngularFilters {
    static constexpr const char *NAME = "angular_filters_v1", *REFERENCE = ANGULAR_REFERENCE;
    Tensor rows, first_edge;
    std::int64_t n_gaussians = 0, n_heads = 1;
    double width = 0;

    std::int64_t n_centres() const { return first_edge.size(0) - 1; }
    std::int64_t n_filters() const { return (rows.size(1) - 3 - n_heads) / n_gaussians; }

    void check() const {
        const auto type = rows.scalar_type();
        TORCH_CHECK_VALUE(rows.device().is_cpu() && first_edge.device().is_cpu(),
                          "rows and first_edge must be on the CPU; use ", ANGULAR_REFERENCE, " elsewhere");
        TORCH_CHECK_TYPE(type == at::kDouble || type == at::kFloat, "rows must be float64 or float32, got ", type);
        TORCH_CHECK_VALUE(n_gaussians >= 2 && n_gaussians <= MOST_GAUSSIANS, "n_gaussians must lie in [2, ", MOST_GAUSSIANS,
                          "], got ", n_gaussians);
        TORCH_CHECK_VALUE(std::isfinite(width) && width > 0, "width must be positive, got ", width);
        TORCH_CHECK_VALUE(n_heads >= 1, "n_heads must be at least 1, got ", n_heads);
        const std::int64_t size = rows.dim() == 2 ? rows.size(1) - 3 - n_heads : 0, unit = std::lcm(FILTERS_MULTIPLE, n_heads);
        TORCH_CHECK_VALUE(size > 0 && size % (unit * n_gaussians) == 0, "rows must be of shape (E, ", n_gaussians, " D + ",
                          3 + n_heads, ") with D a multiple of ", unit, ", got ", rows.sizes());
        check_offsets(first_edge, n_centres(), rows.size(0));
    }

    template <class T> AngularProblem<T> problem(const Tensor& tangent) const {
        return {rows.const_data_ptr<T>(),
                tangent.defined() ? tangent.const_data_ptr<T>() : nullptr,
                tangent.defined(),
                first_edge.const_data_ptr<std::int64_t>(),
                T(width),
                int(n_gaussians),
                int(n_filters()),
                int(n_heads)};
    }
    // work(kernels, problem, begin, end, workspace) over all centres, in the float type of the rows
    template <class Work> void over_stars(const Tensor& tangent, const Work& work) const {
        const std::int64_t* first = first_edge.const_data_ptr<std::int64_t>();
        std::int64_t most = 0;
        for (std::int64_t i = 0; i < n_centres(); ++i) most = std::max(most, first[i + 1] - first[i]);
        AT_DISPATCH_FLOATING_TYPES(rows.scalar_type(), "rhopot", [&] {
            const auto& kernels = angular_kernels<scalar_t>();
            const auto p = problem<scalar_t>(tangent);
            over_centres<scalar_t>(
                n_centres(), kernels.workspace(p, most),
                [&](std::int64_t begin, std::int64_t end, scalar_t* workspace) { work(kernels, p, begin, end, workspace); });
        });
    }

    const Tensor& variable() const { return rows; }
    Tensor value(const Tensor& tangent = {}) const {
        Tensor sums = at::empty({rows.size(0), n_filters()}, rows.options());
        over_stars(contiguous(tangent), [&](auto& kernels, auto& p, auto begin, auto end, auto* workspace) {
            kernels.values(p, begin, end, out(sums, workspace), workspace);
        });
        return sums;
    }
    Tensor adjoint(const Tensor& incoming, const Tensor& tangent = {}) const {
        Tensor gradient = at::empty_like(rows);
        const Tensor h = incoming.contiguous();
        over_stars(contiguous(tangent), [&](auto& kernels, auto& p, auto begin, auto end, auto* workspace) {
            kernels.adjoint(p, begin, end, in(h, workspace), out(gradient, workspace), out(Tensor(), workspace), workspace);
        });
        return gradient;
    }
    variable_list value_and_adjoint(const Tensor& incoming, const Tensor& tangent) const {
        Tensor sums = at::empty({rows.size(0), n_filters()}, rows.options()), gradient = at::empty_like(rows);
        const Tensor h = incoming.contiguous();
        over_stars(contiguous(tangent), [&](auto& kernels, auto& p, auto begin, auto end, auto* workspace) {
            kernels.adjoint(p, begin, end, in(h, workspace), out(gradient, workspace), out(sums, workspace), workspace);
        });
        return {sums, gradient};
    }
    template <class Self, class Visit> static void visit(Self& self, const Visit& visit) {
        visit(self.rows);
        visit(self.first_edge);
        visit(self.n_gaussians);
        visit(self.n_heads);
        visit(self.width);
    }
};

AngularFilters angular_arguments(const Tensor& rows, const Tensor& first_edge, std::int64_t n_gaussians, std::int64_t n_heads,
                                 double width) {
    AngularFilters a{rows.contiguous(), first_edge.contiguous(), n_gaussians, n_heads, width};
    a.check();
    return a;
}

Tensor angular_filters_plain(const Tensor& rows, const Tensor& first_edge, std::int64_t n_gaussians, std::int64_t n_heads,
                             double width) {
    return angular_arguments(rows, first_edge, n_gaussians, n_heads, width).value();
}
Tensor angular_filters_autograd(const Tensor& rows, const Tensor& first_edge, std::int64_t n_gaussians, std::int64_t n_heads,
                                double width) {
    return value_of(angular_arguments(rows, first_edge, n_gaussians, n_heads, width));
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rhopot, m) {
    m.def("angular_filters_v1(Tensor rows, Tensor first_edge, int n_gaussians, int n_heads, float width) -> Tensor");
}
TORCH_LIBRARY_IMPL(rhopot, CPU, m) { m.impl("angular_filters_v1", angular_filters_plain); }
TORCH_LIBRARY_IMPL(rhopot, AutogradCPU, m) { m.impl("angular_filters_v1", angular_filters_autograd); }

}  // namespace rhopot
