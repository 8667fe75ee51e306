// The kernels of the symmetry functions, compiled once per instruction set (RHOPOT_VARIANT names it). Nothing here may be
// an inline function of the standard library: the linker would keep one copy for all variants.
#include "triples.hpp"

namespace rhopot::RHOPOT_VARIANT {
namespace {

template <class T, bool DUAL, class V> RHOPOT_INLINE T wanted(const V& x) {
    if constexpr (DUAL) return lane_sum(x.derivative);
    else return lane_sum(x);
}
template <class T, bool DUAL> RHOPOT_INLINE void clear(const Field<T, DUAL>& field, std::ptrdiff_t packs) {
    for (std::ptrdiff_t i = 0; i < packs; ++i) field.store(i * WIDTH<T>, zero<T, DUAL>());
}

template <class T> std::size_t workspace(const SymmetryGrid<T>& grid, std::int64_t edges) {
    const std::ptrdiff_t sums = 3 * (grid.n_angular() + grid.n_radial), directions = 2 * grid.n_directions();
    return std::size_t(Environment<T, true>::size(grid, edges) + 2 * WIDTH<T> * (sums + directions));
}

// exp(-eta (r - R_s)^2) f_c(r) and its derivative, for a pack of neighbours at once
template <class T, class V>
RHOPOT_INLINE Curve<V> radial(const SymmetryGrid<T>& grid, int f, const V& r, const Curve<V>& fade) {
    const T eta = grid.radial[2 * f];
    const V shifted = r - grid.radial[2 * f + 1], gauss = exponential(shifted * shifted * -eta);
    return {gauss * fade.value, gauss * (fade.derivative + shifted * fade.value * (-2 * eta))};
}

template <class T, bool DUAL> void radial_values(const Environment<T, DUAL>& e, const Field<T, DUAL>& sums, T* to) {
    using V = typename Field<T, DUAL>::Vector;
    const SymmetryGrid<T>& grid = *e.grid;
    for (int a = 0; a < grid.n_species; ++a, to += grid.n_radial) {
        clear<T, DUAL>(sums, grid.n_radial);
        for (std::int32_t slot = e.start[a]; slot < e.start[a + 1]; slot += WIDTH<T>) {
            const V r = e.distance.load(slot);
            const Curve<V> f = fade(grid, r);
            for (int k = 0; k < grid.n_radial; ++k) {
                sums.store(k * WIDTH<T>, sums.load(k * WIDTH<T>) + radial(grid, k, r, f).value);
            }
        }
        for (int k = 0; k < grid.n_radial; ++k) to[k] = wanted<T, DUAL>(sums.load(k * WIDTH<T>));
    }
}

template <class T, bool DUAL>
void angular_values(const Environment<T, DUAL>& e, int a, int b, const Field<T, DUAL>& sums, const Field<T, DUAL>& directions,
                    T* to) {
    using V = typename Field<T, DUAL>::Vector;
    const SymmetryGrid<T>& grid = *e.grid;
    const int n_directions = grid.n_directions();
    clear<T, DUAL>(sums, grid.n_angular());
    for_each_row(e, a, b, [&](std::int32_t j, std::int32_t from, std::int32_t upto, std::int32_t after) {
        for (std::int32_t k = from; k < upto; k += WIDTH<T>) {
            const Triple<T, DUAL> t(e, j, k, lanes<T>() > T(after - k));
            for_each_direction(grid, t.c, [&](int g, const V& value, const V&) { directions.store(g * WIDTH<T>, value); });
            for (int n = 0; n < grid.n_eta; ++n) {
                const std::ptrdiff_t row = n * e.slots;
                const V near = broadcast<V>(e.h.scalar(row + j)) * e.h.load(row + k);
                const V product = near * exponential(t.s * -grid.eta[n]) * t.f.value;
                const Field<T, DUAL> sum = sums.at(n * n_directions * WIDTH<T>);
                for (int g = 0; g < n_directions; ++g) {
                    sum.store(g * WIDTH<T>, sum.load(g * WIDTH<T>) + product * directions.load(g * WIDTH<T>));
                }
            }
        }
    });
    for (int k = 0; k < grid.n_angular(); ++k) to[k] = wanted<T, DUAL>(sums.load(k * WIDTH<T>));
}

template <class T> std::int64_t most_edges(const Graph<T>& graph, std::int64_t begin, std::int64_t end) {
    std::int64_t most = 0;
    for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t n = graph.first_edge[i + 1] - graph.first_edge[i];
        most = n > most ? n : most;
    }
    return most;
}

template <class T, bool DUAL>
void values_with(const Graph<T>& graph, const SymmetryGrid<T>& grid, std::int64_t begin, std::int64_t end, T* features,
                 T* memory) {
    Arena<T> arena{memory};
    auto e = Environment<T, DUAL>::from(arena, grid, most_edges(graph, begin, end));
    const auto sums = arena.template take<DUAL>(WIDTH<T> * (grid.n_angular() + grid.n_radial));
    const auto directions = arena.template take<DUAL>(WIDTH<T> * grid.n_directions());
    for (std::int64_t i = begin; i < end; ++i) {
        T* to = features + i * grid.n_features();
        e.gather(graph, i);
        e.prepare();
        radial_values(e, sums, to);
        if (grid.n_angular() == 0) continue;
        for (int a = 0; a < grid.n_species; ++a) {
            for (int b = a; b < grid.n_species; ++b) angular_values(e, a, b, sums, directions, to + grid.first_angular(a, b));
        }
    }
}

template <class T>
void values_of(const Graph<T>& graph, const SymmetryGrid<T>& grid, std::int64_t begin, std::int64_t end, T* features,
               T* memory) {
    if (graph.along_tangents) values_with<T, true>(graph, grid, begin, end, features, memory);
    else values_with<T, false>(graph, grid, begin, end, features, memory);
}

// adds sum_f w_f dG2_f/dr to the gradient
template <class T, bool DUAL> void radial_adjoint(const Environment<T, DUAL>& e, const T* w) {
    using V = typename Field<T, DUAL>::Vector;
    const SymmetryGrid<T>& grid = *e.grid;
    for (int a = 0; a < grid.n_species; ++a, w += grid.n_radial) {
        for (std::int32_t slot = e.start[a]; slot < e.start[a + 1]; slot += WIDTH<T>) {
            const V r = e.distance.load(slot);
            const Curve<V> f = fade(grid, r);
            V derivative = zero<T, DUAL>();
            for (int k = 0; k < grid.n_radial; ++k) derivative += radial(grid, k, r, f).derivative * w[k];
            e.gradient.add(slot, scaled(e.unit.load(slot), derivative));
        }
    }
}

// the derivatives of a weighted sum of terms of one j and a pack of k, by c, by s = r_jk^2, by r_ij and by r_ik
template <class V> struct Derivatives {
    V by_c, by_s, by_j, by_k;
};

template <class T, bool DUAL>
RHOPOT_INLINE Derivatives<typename Field<T, DUAL>::Vector> derivatives_of(const Environment<T, DUAL>& e,
                                                                          const Triple<T, DUAL>& t, std::int32_t j,
                                                                          std::int32_t k, const Field<T, DUAL>& values,
                                                                          const Field<T, DUAL>& derivatives, const T* w) {
    using V = typename Field<T, DUAL>::Vector;
    const int n_directions = e.grid->n_directions();
    Derivatives<V> sum{};
    for (int n = 0; n < e.grid->n_eta; ++n, w += n_directions) {
        V value = zero<T, DUAL>(), derivative = value;
        for (int g = 0; g < n_directions; ++g) {
            value += values.load(g * WIDTH<T>) * w[g];
            derivative += derivatives.load(g * WIDTH<T>) * w[g];
        }
        const std::ptrdiff_t row = n * e.slots;
        const V hj = broadcast<V>(e.h.scalar(row + j)), hk = e.h.load(row + k), near = hj * hk;
        const Curve<V> far = far_side(t, e.grid->eta[n]);
        const V side = far.value * value;
        sum.by_c += near * far.value * derivative;
        sum.by_s += near * far.derivative * value;
        sum.by_j += broadcast<V>(e.derivative.scalar(row + j)) * hk * side;
        sum.by_k += hj * e.derivative.load(row + k) * side;
    }
    return sum;
}

// adds sum_f w_f dG4_f/dr of the pairs of species a <= b to the gradient
template <class T, bool DUAL>
void angular_adjoint(const Environment<T, DUAL>& e, int a, int b, const Field<T, DUAL>& directions, const T* w) {
    using V = typename Field<T, DUAL>::Vector;
    const SymmetryGrid<T>& grid = *e.grid;
    const Field<T, DUAL> direction_derivatives = directions.at(grid.n_directions() * WIDTH<T>);
    for_each_row(e, a, b, [&](std::int32_t j, std::int32_t from, std::int32_t upto, std::int32_t after) {
        Vector3<V> sum{};
        for (std::int32_t k = from; k < upto; k += WIDTH<T>) {
            const Triple<T, DUAL> t(e, j, k, lanes<T>() > T(after - k));
            for_each_direction(grid, t.c, [&](int g, const V& value, const V& derivative) {
                directions.store(g * WIDTH<T>, value);
                direction_derivatives.store(g * WIDTH<T>, derivative);
            });
            const Derivatives<V> s = derivatives_of(e, t, j, k, directions, direction_derivatives, w);
            const V turn_j = s.by_c * broadcast<V>(e.inverse.scalar(j)), turn_k = s.by_c * e.inverse.load(k);
            const Vector3<V> pull = scaled(t.d, s.by_s * T(2));
            Vector3<V> gk = scaled(t.uj, turn_k);
            gk += scaled(t.uk, s.by_k - turn_k * t.c);
            gk += pull;
            e.gradient.add(k, gk);
            sum += scaled(t.uk, turn_j) - pull;
            sum += scaled(t.uj, s.by_j - turn_j * t.c);
        }
        e.gradient.add_sum(j, sum);
    });
}

template <class T, bool DUAL>
void adjoint_with(const Graph<T>& graph, const SymmetryGrid<T>& grid, std::int64_t begin, std::int64_t end, const T* incoming,
                  T* gradient, T* memory) {
    Arena<T> arena{memory};
    auto e = Environment<T, DUAL>::from(arena, grid, most_edges(graph, begin, end));
    const auto directions = arena.template take<DUAL>(2 * WIDTH<T> * grid.n_directions());
    for (std::int64_t i = begin; i < end; ++i) {
        const T* w = incoming + i * grid.n_features();
        e.gather(graph, i);
        e.prepare();
        radial_adjoint(e, w);
        if (grid.n_angular() > 0) {
            for (int a = 0; a < grid.n_species; ++a) {
                for (int b = a; b < grid.n_species; ++b) angular_adjoint(e, a, b, directions, w + grid.first_angular(a, b));
            }
        }
        e.write(graph, i, gradient);
    }
}

template <class T>
void adjoint_of(const Graph<T>& graph, const SymmetryGrid<T>& grid, std::int64_t begin, std::int64_t end, const T* incoming,
                T* gradient, T* memory) {
    if (graph.along_tangents) adjoint_with<T, true>(graph, grid, begin, end, incoming, gradient, memory);
    else adjoint_with<T, false>(graph, grid, begin, end, incoming, gradient, memory);
}

// rows of dG[E, 3, F] of a pack of slots: sums [3, n] packs -> columns [column, column + n)
template <class T>
void scatter(const Environment<T, false>& e, std::int32_t slot, const T* sums, int n, T* rows, int column) {
    const int n_features = e.grid->n_features();
    for (int lane = 0; lane < WIDTH<T>; ++lane) {
        if (e.edge[slot + lane] < 0) continue;
        for (int axis = 0; axis < 3; ++axis) {
            T* to = rows + (3 * std::ptrdiff_t(e.edge[slot + lane]) + axis) * n_features + column;
            const T* from = sums + axis * n * WIDTH<T> + lane;
            for (int f = 0; f < n; ++f) to[f] = from[f * WIDTH<T>];
        }
    }
}

template <class T> void radial_jacobian(const Environment<T, false>& e, T* sums, T* rows) {
    const SymmetryGrid<T>& grid = *e.grid;
    const int n = grid.n_radial;
    for (int a = 0; a < grid.n_species; ++a) {
        for (std::int32_t slot = e.start[a]; slot < e.start[a + 1]; slot += WIDTH<T>) {
            const Pack<T> r = e.distance.load(slot);
            const Curve<Pack<T>> f = fade(grid, r);
            for (int k = 0; k < n; ++k) {
                const Vector3<Pack<T>> derivative = scaled(e.unit.load(slot), radial(grid, k, r, f).derivative);
                VectorField<T, false>{{sums}, n * WIDTH<T>}.store(k * WIDTH<T>, derivative);
            }
            scatter(e, slot, sums, n, rows, a * n);
        }
    }
}

// adds dG4/dr_ik of one j and a pack of k to the sums [3, n_angular]
template <class T>
RHOPOT_INLINE void add_derivatives(const Environment<T, false>& e, std::int32_t j, std::int32_t k, const Triple<T, false>& t,
                                   const Field<T, false>& values, const Field<T, false>& derivatives, T* sums) {
    using V = Pack<T>;
    const int n_directions = e.grid->n_directions(), n_angular = e.grid->n_angular();
    const Vector3<V> turn = scaled(t.uj - scaled(t.uk, t.c), e.inverse.load(k));
    for (int n = 0; n < e.grid->n_eta; ++n) {
        const std::ptrdiff_t row = n * e.slots;
        const V hj = broadcast<V>(e.h.scalar(row + j)), hk = e.h.load(row + k);
        const Curve<V> far = far_side(t, e.grid->eta[n]);
        Vector3<V> stretch = scaled(e.unit.load(k), V(hj * e.derivative.load(row + k) * far.value));
        stretch += scaled(t.d, V(hj * hk * far.derivative * T(2)));
        const Vector3<V> bend = scaled(turn, V(hj * hk * far.value));
        for (int g = 0; g < n_directions; ++g) {
            const V value = values.load(g * WIDTH<T>), derivative = derivatives.load(g * WIDTH<T>);
            const VectorField<T, false> sum{{sums}, n_angular * WIDTH<T>};
            sum.add((n * n_directions + g) * WIDTH<T>, scaled(stretch, value));
            sum.add((n * n_directions + g) * WIDTH<T>, scaled(bend, derivative));
        }
    }
}

template <class T>
void angular_jacobian(const Environment<T, false>& e, const Field<T, false>& directions, T* sums, T* rows) {
    using V = Pack<T>;
    const SymmetryGrid<T>& grid = *e.grid;
    const Field<T, false> direction_derivatives = directions.at(grid.n_directions() * WIDTH<T>);
    for (int b = 0; b < grid.n_species; ++b) {
        for (std::int32_t k = e.start[b]; k < e.start[b + 1]; k += WIDTH<T>) {
            for (int a = 0; a < grid.n_species; ++a) {
                clear<T, false>({sums}, 3 * grid.n_angular());
                for (std::int32_t j = e.start[a]; j < e.start[a] + e.count[a]; ++j) {
                    const Triple<T, false> t(e, j, k, lanes<T>() != T(j - k));
                    for_each_direction(grid, t.c, [&](int g, const V& value, const V& derivative) {
                        directions.store(g * WIDTH<T>, value);
                        direction_derivatives.store(g * WIDTH<T>, derivative);
                    });
                    add_derivatives(e, j, k, t, directions, direction_derivatives, sums);
                }
                scatter(e, k, sums, grid.n_angular(), rows, grid.first_angular(a < b ? a : b, a < b ? b : a));
            }
        }
    }
}

template <class T>
void jacobian(const Graph<T>& graph, const SymmetryGrid<T>& grid, std::int64_t begin, std::int64_t end, T* features,
              T* derivatives, T* memory) {
    values_with<T, false>(graph, grid, begin, end, features, memory);
    Arena<T> arena{memory};
    const std::ptrdiff_t n_features = grid.n_features();
    auto e = Environment<T, false>::from(arena, grid, most_edges(graph, begin, end));
    const auto sums = arena.template take<false>(3 * WIDTH<T> * (grid.n_angular() + grid.n_radial));
    const auto directions = arena.template take<false>(2 * WIDTH<T> * grid.n_directions());
    for (std::int64_t i = begin; i < end; ++i) {
        T* rows = derivatives + 3 * graph.first_edge[i] * n_features;
        const std::ptrdiff_t size = 3 * (graph.first_edge[i + 1] - graph.first_edge[i]) * n_features;
        for (std::ptrdiff_t k = 0; k < size; ++k) rows[k] = 0;
        e.gather(graph, i);
        e.prepare();
        radial_jacobian(e, sums.value, rows);
        if (grid.n_angular() > 0) angular_jacobian(e, directions, sums.value, rows);
    }
}

}  // namespace

template <class T> const SymmetryKernels<T>& symmetry_kernels() {
    static constexpr SymmetryKernels<T> kernels{workspace<T>, values_of<T>, adjoint_of<T>, jacobian<T>};
    return kernels;
}
template const SymmetryKernels<double>& symmetry_kernels<double>();
template const SymmetryKernels<float>& symmetry_kernels<float>();

}  // namespace rhopot::RHOPOT_VARIANT
