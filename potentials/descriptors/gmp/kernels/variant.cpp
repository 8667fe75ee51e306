// The kernels of the order norms, compiled once per instruction set (RHOPOT_VARIANT names it), without inline functions of the
// standard library.
#include "density/kernels/centre.hpp"
#include "gmp_kernels.hpp"
#include "orders.hpp"

namespace rhopot::RHOPOT_VARIANT {
namespace {

template <class T> std::ptrdiff_t derivatives_size(const Shape<T>& shape, const Orders<T>& orders) {
    return 4 * WIDTH<T> * shape.row * (shape.l_max + 1) + orders.by_degree() + orders.size();
}

template <class T> std::size_t gmp_workspace(const Basis<T>& basis, int n_probes, std::int64_t max_edges) {
    const Shape<T> shape(basis);
    const Orders<T> orders(shape, n_probes);
    return std::size_t(OrderMemory<T, false>::size(orders) + derivatives_size(shape, orders) +
                       Centre<T>::size(basis, max_edges));
}

template <class T> Shape<T> shape_of(const Density<T>& density) { return {density.l_max, density.n_channels_total, 1}; }

template <class T> std::size_t invariants_workspace(const Density<T>& density, int n_probes) {
    const Shape<T> shape = shape_of(density);
    return std::size_t(4 * shape.angular() * shape.row + OrderMemory<T, true>::size(Orders<T>(shape, n_probes)));
}

// prepare(density, memory, centre, c) for every centre, with the norms of its padded density c
template <class T, bool DUAL, class Visit>
RHOPOT_INLINE void for_each_density(const Density<T>& density, const Probes<T>& probes, std::int64_t begin, std::int64_t end,
                                    T* workspace, Visit visit) {
    const Shape<T> shape = shape_of(density);
    const Orders<T> orders(shape, probes.count);
    Arena<T> arena{workspace};
    const auto c = arena.template take<DUAL>(shape.angular() * shape.row);
    const auto d = arena.template take<DUAL>(shape.angular() * shape.row);
    const auto memory = OrderMemory<T, DUAL>::from(arena, orders, probes.floor);
    for (std::int64_t i = begin; i < end; ++i) {
        const std::ptrdiff_t at = i * shape.angular() * shape.width();
        pad_rows(shape, density.value + at, c.value);
        if constexpr (DUAL) pad_rows(shape, density.tangent + at, c.derivative);
        norms(shape, orders, c, memory);
        visit(shape, orders, memory, i, c, d);
    }
}

template <class T, bool DUAL>
void invariants_with(const Density<T>& density, const Probes<T>& probes, std::int64_t begin, std::int64_t end, T* phi,
                     T* workspace) {
    for_each_density<T, DUAL>(density, probes, begin, end, workspace,
                              [&](auto&, auto& orders, auto& memory, std::int64_t i, auto&, auto&) {
        invariants(orders, memory, phi + i * orders.features());
    });
}

template <class T>
void gmp_invariants(const Density<T>& density, const Probes<T>& probes, std::int64_t begin, std::int64_t end, T* phi,
                    T* workspace) {
    if (density.along_tangent) invariants_with<T, true>(density, probes, begin, end, phi, workspace);
    else invariants_with<T, false>(density, probes, begin, end, phi, workspace);
}

template <class T, bool DUAL>
void invariants_adjoint_with(const Density<T>& density, const Probes<T>& probes, std::int64_t begin, std::int64_t end,
                             const T* incoming, T* gradient, T* workspace) {
    for_each_density<T, DUAL>(density, probes, begin, end, workspace,
                              [&](auto& shape, auto& orders, auto& memory, std::int64_t i, auto& c, auto& d) {
        invariants_adjoint(shape, orders, c, memory, incoming + i * orders.features(), d);
        const T* rows = d.value;
        if constexpr (DUAL) rows = d.derivative;
        for (int l = 0; l <= shape.l_max; ++l) {
            for (int lm = l * l; lm < (l + 1) * (l + 1); ++lm) {
                T* to = gradient + (i * shape.angular() + lm) * shape.width();
                for (int q = 0; q < shape.width(); ++q) to[q] = q < orders.used(l) ? rows[lm * shape.row + q] : T(0);
            }
        }
    });
}

template <class T>
void gmp_invariants_adjoint(const Density<T>& density, const Probes<T>& probes, std::int64_t begin, std::int64_t end,
                            const T* incoming, T* gradient, T* workspace) {
    if (density.along_tangent) invariants_adjoint_with<T, true>(density, probes, begin, end, incoming, gradient, workspace);
    else invariants_adjoint_with<T, false>(density, probes, begin, end, incoming, gradient, workspace);
}

template <class T>
void gmp(const Graph<T>& graph, const Basis<T>& basis, const Probes<T>& probes, std::int64_t begin, std::int64_t end, T* phi,
         T* workspace) {
    const Shape<T> shape(basis);
    const Orders<T> orders(shape, probes.count);
    Arena<T> arena{workspace};
    const auto memory = OrderMemory<T, false>::from(arena, orders, probes.floor);
    const auto c = arena.template take<false>(shape.angular() * shape.row);
    auto batch = EdgeBatch<T, false>::from(arena, basis);
    for (std::int64_t i = begin; i < end; ++i) {
        expand_centre(graph, basis, shape, i, batch, c);
        norms(shape, orders, c, memory);
        invariants(orders, memory, phi + i * orders.features());
    }
}

template <class T>
void gmp_adjoint(const Graph<T>& graph, const Basis<T>& basis, const Probes<T>& probes, std::int64_t begin, std::int64_t end,
                 const T* incoming, T* gradient, T* workspace) {
    Arena<T> arena{workspace};
    const Orders<T> orders(Shape<T>(basis), probes.count);
    const auto memory = OrderMemory<T, false>::from(arena, orders, probes.floor);
    Centre<T> centre(graph, basis, arena);
    for (std::int64_t i = begin; i < end; ++i) {
        centre.template expand<Need::adjoint>(i);
        norms(centre.shape, orders, centre.c, memory);
        invariants_adjoint(centre.shape, orders, centre.c, memory, incoming + i * orders.features(), centre.d);
        centre.gradient(gradient);
    }
}

// sum_m d[lm, q] x[lm, e] of one batch, for x = Y_lm and its three projected gradients: to[l, 4, WIDTH edges, row]
template <class T>
RHOPOT_INLINE void contract_angles(const Basis<T>& basis, const Shape<T>& shape, const EdgeBatch<T, false>& batch,
                                   const Field<T, false>& d, const Field<T, false>& gradients, const Field<T, false>& to) {
    for (int part = 0; part < 4; ++part) {
        const auto x = part == 0 ? batch.harmonics.value : gradients.at((part - 1) * WIDTH<T> * shape.angular());
        for (int l = 0; l <= shape.l_max; ++l) {
            for (std::ptrdiff_t q = 0; q < basis.columns.used[l]; q += WIDTH<T>) {
                multiply<false>(WIDTH<T>, x.at(WIDTH<T> * l * l), 1, WIDTH<T>, d.at(l * l * shape.row + q), shape.row,
                                2 * l + 1, to.at((l * 4 + part) * WIDTH<T> * shape.row + q), shape.row);
            }
        }
    }
}

// dPhi/dr_axis of one edge: sum over its columns of u R' (d Y) + R (d grad Y), where d = c / root
template <class T>
RHOPOT_INLINE void invariants_derivative(const Basis<T>& basis, const Shape<T>& shape, const Orders<T>& orders,
                                         const EdgeBatch<T, false>& batch, int lane, int axis,
                                         const Field<T, false>& contracted, const Field<T, false>& by_degree,
                                         const Field<T, false>& sums, T* to) {
    const T direction = batch.direction.scalar(axis * WIDTH<T> + lane);
    for (int l = 0; l <= shape.l_max; ++l) {
        const auto own = contracted.at((l * 4 * WIDTH<T> + lane) * shape.row);
        const auto turned = contracted.at(((l * 4 + 1 + axis) * WIDTH<T> + lane) * shape.row);
        const std::ptrdiff_t from = lane * basis.columns.row + basis.columns.first[l];
        for (std::ptrdiff_t q = 0; q < basis.columns.used[l]; q += WIDTH<T>) {
            by_degree.store(l * orders.row + q, batch.derivative.load(from + q) * direction * own.load(q) +
                                                    batch.radial.load(from + q) * turned.load(q));
        }
    }
    sum_by_order(orders, by_degree, sums);
    orders.for_each_feature([&](std::ptrdiff_t f, std::ptrdiff_t at) { to[f] = sums.value[at]; });
}

template <class T>
void gmp_jacobian(const Graph<T>& graph, const Basis<T>& basis, const Probes<T>& probes, std::int64_t begin, std::int64_t end,
                  T* phi, T* dphi, T* workspace) {
    const Shape<T> shape(basis);
    const Orders<T> orders(shape, probes.count);
    Arena<T> arena{workspace};
    const auto memory = OrderMemory<T, false>::from(arena, orders, probes.floor);
    const auto contracted = arena.template take<false>(4 * WIDTH<T> * shape.row * (shape.l_max + 1));
    const auto by_degree = arena.template take<false>(orders.by_degree());
    const auto sums = arena.template take<false>(orders.size());
    Centre<T> centre(graph, basis, arena);
    clear(by_degree, orders.by_degree());
    for (std::int64_t i = begin; i < end; ++i) {
        centre.template expand<Need::derivative>(i);
        norms(shape, orders, centre.c, memory);
        invariants(orders, memory, phi + i * orders.features());
        invariants_adjoint(shape, orders, centre.c, memory, static_cast<const T*>(nullptr), centre.d);
        for (int k = 0; k < centre.used; ++k) {
            const EdgeBatch<T, false>& batch = centre.batch(k);
            harmonic_gradients(batch, *basis.constants, shape.l_max, centre.scratch.value);
            contract_angles(basis, shape, batch, centre.d, centre.scratch, contracted);
            for (int row = 0; row < 3 * batch.count; ++row) {
                const int lane = row / 3, axis = row % 3;
                invariants_derivative(basis, shape, orders, batch, lane, axis, contracted, by_degree, sums,
                                      dphi + (3 * batch.edge[lane] + axis) * orders.features());
            }
        }
    }
}

}  // namespace

template <class T> const GmpKernels<T>& gmp_kernels() {
    static constexpr GmpKernels<T> kernels{
        gmp_workspace<T>, invariants_workspace<T>, gmp_invariants<T>, gmp_invariants_adjoint<T>,
        gmp<T>,           gmp_adjoint<T>,          gmp_jacobian<T>};
    return kernels;
}
template const GmpKernels<double>& gmp_kernels<double>();
template const GmpKernels<float>& gmp_kernels<float>();

}  // namespace rhopot::RHOPOT_VARIANT
