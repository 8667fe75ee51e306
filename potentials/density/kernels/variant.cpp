// The kernels of the expansion, compiled once per instruction set (RHOPOT_VARIANT names it). Nothing here may be an inline
// function of the standard library: the linker would keep one copy for all variants.
#include "expansion.hpp"

namespace rhopot::RHOPOT_VARIANT {
namespace {

// duals of a centre's density, or of the two sums of its adjoint beside it, and one batch
template <class T> std::size_t workspace(const Basis<T>& basis) {
    const Shape<T> shape(basis);
    return std::size_t(EdgeBatch<T, true>::size(basis) + 2 * shape.angular() * (shape.row + 2 * WIDTH<T>));
}

template <class T, bool DUAL>
void expand_with(const Graph<T>& graph, const Basis<T>& basis, std::int64_t begin, std::int64_t end, T* density, T* workspace) {
    const Shape<T> shape(basis);
    Arena<T> arena{workspace};
    const auto c = arena.template take<DUAL>(shape.angular() * shape.row);
    auto batch = EdgeBatch<T, DUAL>::from(arena, basis);
    for (std::int64_t i = begin; i < end; ++i) {
        expand_centre(graph, basis, shape, i, batch, c);
        T* to = density + i * shape.angular() * shape.width();
        if constexpr (DUAL) unpad_rows(shape, c.derivative, to);
        else unpad_rows(shape, c.value, to);
    }
}

template <class T>
void values(const Graph<T>& graph, const Basis<T>& basis, std::int64_t begin, std::int64_t end, T* density, T* workspace) {
    if (graph.along_tangents) expand_with<T, true>(graph, basis, begin, end, density, workspace);
    else expand_with<T, false>(graph, basis, begin, end, density, workspace);
}

template <class T, bool DUAL>
void expand_adjoint_with(const Graph<T>& graph, const Basis<T>& basis, std::int64_t begin, std::int64_t end, const T* incoming,
                         T* gradient, T* workspace) {
    const Shape<T> shape(basis);
    Arena<T> arena{workspace};
    const auto d = arena.template take<false>(shape.angular() * shape.row);
    const auto scratch = arena.template take<DUAL>(2 * WIDTH<T> * shape.angular());
    auto batch = EdgeBatch<T, DUAL>::from(arena, basis);
    for (std::int64_t i = begin; i < end; ++i) {
        pad_rows(shape, incoming + i * shape.angular() * shape.width(), d.value);
        for_each_batch<T, DUAL>(graph, basis, graph.first_edge[i], graph.first_edge[i + 1], [&] { return &batch; },
                                [&](EdgeBatch<T, DUAL>& b) {
            prepare<T, DUAL, Need::adjoint>(graph, basis, b);
            adjoint(basis, shape, b, d, scratch, gradient);
        });
    }
}

template <class T>
void adjoint_of(const Graph<T>& graph, const Basis<T>& basis, std::int64_t begin, std::int64_t end, const T* incoming,
                T* gradient, T* workspace) {
    if (graph.along_tangents) expand_adjoint_with<T, true>(graph, basis, begin, end, incoming, gradient, workspace);
    else expand_adjoint_with<T, false>(graph, basis, begin, end, incoming, gradient, workspace);
}

}  // namespace

template <class T> const ExpansionKernels<T>& expansion_kernels() {
    static constexpr ExpansionKernels<T> kernels{workspace<T>, values<T>, adjoint_of<T>};
    return kernels;
}
template const ExpansionKernels<double>& expansion_kernels<double>();
template const ExpansionKernels<float>& expansion_kernels<float>();

}  // namespace rhopot::RHOPOT_VARIANT
