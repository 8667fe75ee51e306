// The kernels of the power spectrum, compiled once per instruction set (RHOPOT_VARIANT names it). Nothing here may be an inline
// function of the standard library: the linker would keep one copy for all variants.
#include "density/kernels/centre.hpp"
#include "derivatives.hpp"
#include "soap_kernels.hpp"

namespace rhopot::RHOPOT_VARIANT {
namespace {

// the weights of a centre, what the Jacobian adds, and the centre
template <class T> std::size_t graph_workspace(const Basis<T>& basis, std::int64_t max_edges) {
    const Shape<T> shape(basis);
    return std::size_t(2 * packed_size(shape) + shape.angular() * shape.block + Centre<T>::size(basis, max_edges));
}

template <class T> Shape<T> shape_of(const Density<T>& density) { return {density.l_max, density.n_channels_total, 1}; }

template <class T> std::size_t density_workspace(const Density<T>& density) {
    const Shape<T> shape = shape_of(density);
    return std::size_t(4 * shape.angular() * shape.row + 3 * packed_size(shape));
}

template <class T, bool DUAL>
Field<T, DUAL> padded_density(const Density<T>& density, const Shape<T>& shape, std::int64_t centre, Field<T, DUAL> to) {
    const std::ptrdiff_t at = centre * shape.angular() * shape.width();
    pad_rows(shape, density.value + at, to.value);
    if constexpr (DUAL) pad_rows(shape, density.tangent + at, to.derivative);
    return to;
}

template <class T, bool DUAL>
void power_with(const Density<T>& density, std::int64_t begin, std::int64_t end, T* p, T* workspace) {
    const Shape<T> shape = shape_of(density);
    Arena<T> arena{workspace};
    const auto memory = arena.template take<DUAL>(shape.angular() * shape.row);
    const auto scratch = arena.template take<DUAL>(packed_size(shape));
    for (std::int64_t i = begin; i < end; ++i) {
        spectrum(shape, padded_density(density, shape, i, memory), scratch, p + i * shape.features());
    }
}

template <class T> void power(const Density<T>& density, std::int64_t begin, std::int64_t end, T* p, T* workspace) {
    if (density.along_tangent) power_with<T, true>(density, begin, end, p, workspace);
    else power_with<T, false>(density, begin, end, p, workspace);
}

// d = W c is linear in c, so its derivative along a tangent is W applied to the tangent
template <class T>
void power_adjoint(const Density<T>& density, std::int64_t begin, std::int64_t end, const T* incoming, T* gradient,
                   T* workspace) {
    const Shape<T> shape = shape_of(density);
    const T* linear = density.along_tangent ? density.tangent : density.value;
    const Density<T> source{linear, nullptr, false, density.l_max, density.n_channels_total};
    Arena<T> arena{workspace};
    const auto memory = arena.template take<false>(shape.angular() * shape.row);
    const auto d = arena.template take<false>(shape.angular() * shape.row);
    const auto w = arena.template take<false>(packed_size(shape));
    for (std::int64_t i = begin; i < end; ++i) {
        pack_adjoint(shape, incoming + i * shape.features(), w.value);
        apply_packed(shape, padded_density(source, shape, i, memory), w, d);
        unpad_rows(shape, d.value, gradient + i * shape.angular() * shape.width());
    }
}

template <class T>
void soap(const Graph<T>& graph, const Basis<T>& basis, std::int64_t begin, std::int64_t end, T* p, T* workspace) {
    const Shape<T> shape(basis);
    Arena<T> arena{workspace};
    const auto c = arena.template take<false>(shape.angular() * shape.row);
    const auto scratch = arena.template take<false>(packed_size(shape));
    auto batch = EdgeBatch<T, false>::from(arena, basis);
    for (std::int64_t i = begin; i < end; ++i) {
        expand_centre(graph, basis, shape, i, batch, c);
        spectrum(shape, c, scratch, p + i * shape.features());
    }
}

template <class T>
void soap_adjoint(const Graph<T>& graph, const Basis<T>& basis, std::int64_t begin, std::int64_t end, const T* incoming,
                  T* gradient, T* workspace) {
    Arena<T> arena{workspace};
    const auto w = arena.template take<false>(packed_size(Shape<T>(basis)));
    Centre<T> centre(graph, basis, arena);
    for (std::int64_t i = begin; i < end; ++i) {
        centre.template expand<Need::adjoint>(i);
        pack_adjoint(centre.shape, incoming + i * centre.shape.features(), w.value);
        apply_packed(centre.shape, centre.c, w, centre.d);
        centre.gradient(gradient);
    }
}

template <class T>
void soap_jacobian(const Graph<T>& graph, const Basis<T>& basis, std::int64_t begin, std::int64_t end, T* p, T* dp,
                   T* workspace) {
    const Shape<T> shape(basis);
    Arena<T> arena{workspace};
    const auto products = arena.template take<false>(packed_size(shape));
    T* product = arena.template take<false>(packed_size(shape)).value;
    T* dc = arena.template take<false>(shape.angular() * shape.block).value;
    Centre<T> centre(graph, basis, arena);
    for (std::int64_t i = begin; i < end; ++i) {
        centre.template expand<Need::derivative>(i);
        spectrum(shape, centre.c, products, p + i * shape.features());
        centre.derivatives(dc, [&](std::int64_t edge, int axis, int channel) {
            spectrum_derivative(shape, channel, dc, centre.c.value, product, dp + (3 * edge + axis) * shape.features());
        });
    }
}

template <class T> std::size_t packed_weights(const Basis<T>& basis) { return std::size_t(packed_size(Shape<T>(basis))); }

template <class T> void pack_weights(const Basis<T>& basis, const T* weights, T* packed) {
    pack_adjoint(Shape<T>(basis), weights, packed);
}

template <class T>
void soap_linear(const Graph<T>& graph, const Basis<T>& basis, std::int64_t begin, std::int64_t end, const T* packed,
                 std::int64_t n_sets, T* energy, std::int64_t energy_stride, T* gradient, T* p, T* workspace) {
    const Shape<T> shape(basis);
    Arena<T> arena{workspace};
    const auto products = arena.template take<false>(packed_size(shape));
    Centre<T> centre(graph, basis, arena);
    for (std::int64_t i = begin; i < end; ++i) {
        if (gradient != nullptr) centre.template expand<Need::adjoint>(i);
        else centre.template expand<Need::value>(i);
        const std::int64_t set = n_sets == 1 ? 0 : graph.species[graph.centre[i]];
        const Field<T, false> w{const_cast<T*>(packed + set * packed_size(shape))};
        apply_packed(shape, centre.c, w, centre.d);
        energy[i * energy_stride] = half_dot(centre.c.value, centre.d.value, shape.angular() * shape.row);
        if (gradient != nullptr) centre.gradient(gradient);
        if (p != nullptr) spectrum(shape, centre.c, products, p + i * shape.features());
    }
}

}  // namespace

template <class T> const SoapKernels<T>& soap_kernels() {
    static constexpr SoapKernels<T> kernels{
        graph_workspace<T>, density_workspace<T>, power<T>,          power_adjoint<T>, soap<T>,
        soap_adjoint<T>,    soap_jacobian<T>,     packed_weights<T>, pack_weights<T>,  soap_linear<T>,
    };
    return kernels;
}
template const SoapKernels<double>& soap_kernels<double>();
template const SoapKernels<float>& soap_kernels<float>();

}  // namespace rhopot::RHOPOT_VARIANT
