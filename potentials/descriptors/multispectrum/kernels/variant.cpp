// The kernels of multispectra, compiled once per instruction set.
#include "density/kernels/centre.hpp"
#include "invariants.hpp"
#include "multispectrum_kernels.hpp"

namespace rhopot::RHOPOT_VARIANT {
namespace {

template <class T> std::size_t density_workspace(const MultispectrumTerms<T>& terms) {
    return std::size_t(2 * Multispectrum<T, true>::size(terms));
}

// a pack of centres for the linear model; one, and the derivative of its density, for the Jacobian
template <class T>
std::size_t graph_workspace(const MultispectrumTerms<T>& terms, const Basis<T>& basis, std::int64_t max_edges) {
    const Shape<T> shape(basis);
    const std::ptrdiff_t linear = Multispectrum<T, false>::size(terms) + WIDTH<T> * Centre<T>::size(basis, max_edges),
                         jacobian = 2 * Multispectrum<T, true>::size(terms) + shape.angular() * shape.block +
                                    Centre<T>::size(basis, max_edges);
    return std::size_t(linear > jacobian ? linear : jacobian);
}

// densities of the centres from `first` on, a lane for each of `count`; the others are zero
template <class T> void gather(const T* from, std::ptrdiff_t size, std::int64_t first, int count, T* to) {
    for (std::ptrdiff_t i = 0; i < size; ++i) {
        for (int lane = 0; lane < WIDTH<T>; ++lane)
            to[i * WIDTH<T> + lane] = lane < count ? from[(first + lane) * size + i] : T(0);
    }
}

template <class T, bool DUAL> struct Lanes {
    Multispectrum<T, DUAL> spectrum;
    const Density<T>& density;
    std::ptrdiff_t size;

    Lanes(const MultispectrumTerms<T>& terms, const Density<T>& source, Arena<T>& arena)
        : spectrum(terms, arena), density(source), size(spectrum.density_size() / WIDTH<T>) {}

    // work(first, count) for the packs of the centres [begin, end), whose densities are loaded
    template <class Work> void over_packs(std::int64_t begin, std::int64_t end, const Work& work) {
        for (std::int64_t i = begin; i < end; i += WIDTH<T>) {
            const int count = int(end - i < WIDTH<T> ? end - i : WIDTH<T>);
            gather(density.value, size, i, count, spectrum.c.value);
            if constexpr (DUAL) gather(density.tangent, size, i, count, spectrum.c.derivative);
            work(i, count);
        }
    }
};

template <class T, bool DUAL> RHOPOT_INLINE Pack<T> wanted(const typename Field<T, DUAL>::Vector& x) {
    if constexpr (DUAL) return x.derivative;
    else return x;
}

template <class T, bool DUAL>
void values_with(const MultispectrumTerms<T>& terms, const Density<T>& density, std::int64_t begin, std::int64_t end,
                 T* features, T* workspace) {
    Arena<T> arena{workspace};
    Lanes<T, DUAL> lanes(terms, density, arena);
    const std::int64_t n = terms.n_features();
    lanes.over_packs(begin, end, [&](std::int64_t i, int count) {
        lanes.spectrum.values([&](std::int64_t f, const typename Field<T, DUAL>::Vector& x) {
            const Pack<T> value = wanted<T, DUAL>(x);
            for (int lane = 0; lane < count; ++lane) features[(i + lane) * n + f] = value[lane];
        });
    });
}

template <class T>
void values(const MultispectrumTerms<T>& terms, const Density<T>& density, std::int64_t begin, std::int64_t end, T* features,
            T* workspace) {
    if (density.along_tangent) values_with<T, true>(terms, density, begin, end, features, workspace);
    else values_with<T, false>(terms, density, begin, end, features, workspace);
}

template <class T, bool DUAL>
void adjoint_with(const MultispectrumTerms<T>& terms, const Density<T>& density, std::int64_t begin, std::int64_t end,
                  const T* incoming, T* gradient, T* workspace) {
    Arena<T> arena{workspace};
    Lanes<T, DUAL> lanes(terms, density, arena);
    const std::int64_t n = terms.n_features();
    lanes.over_packs(begin, end, [&](std::int64_t i, int count) {
        lanes.spectrum.adjoint([&](std::int64_t f) {
            Pack<T> h{};
            for (int lane = 0; lane < count; ++lane) h[lane] = incoming[(i + lane) * n + f];
            return h;
        });
        const T* from = lanes.spectrum.d.value;
        if constexpr (DUAL) from = lanes.spectrum.d.derivative;
        for (std::ptrdiff_t k = 0; k < lanes.size; ++k) {
            for (int lane = 0; lane < count; ++lane) gradient[(i + lane) * lanes.size + k] = from[k * WIDTH<T> + lane];
        }
    });
}

template <class T>
void adjoint(const MultispectrumTerms<T>& terms, const Density<T>& density, std::int64_t begin, std::int64_t end,
             const T* incoming, T* gradient, T* workspace) {
    if (density.along_tangent) adjoint_with<T, true>(terms, density, begin, end, incoming, gradient, workspace);
    else adjoint_with<T, false>(terms, density, begin, end, incoming, gradient, workspace);
}

// to[(lm, u), lane] from the padded rows of one centre, and back
template <class T> void to_lane(const Shape<T>& shape, const T* rows, int lane, T* to) {
    for (int lm = 0; lm < shape.angular(); ++lm) {
        for (int u = 0; u < shape.width(); ++u, to += WIDTH<T>) to[lane] = rows[lm * shape.row + shape.position(u)];
    }
}
template <class T> void from_lane(const Shape<T>& shape, const T* from, int lane, T* rows) {
    for (int lm = 0; lm < shape.angular(); ++lm) {
        for (int u = 0; u < shape.width(); ++u, from += WIDTH<T>) rows[lm * shape.row + shape.position(u)] = from[lane];
    }
}

// Rows (edge, axis) of one centre are the lanes: all have the density of that centre, and each its own derivative.
template <class T>
void jacobian(const MultispectrumTerms<T>& terms, const Graph<T>& graph, const Basis<T>& basis, std::int64_t begin,
              std::int64_t end, T* features, T* dp, T* workspace) {
    const Shape<T> shape(basis);
    const std::int64_t n = terms.n_features();
    Arena<T> arena{workspace};
    Multispectrum<T, true> spectrum(terms, arena);
    T* dc = arena.template take<false>(shape.angular() * shape.block).value;
    Centre<T> centre(graph, basis, arena);
    const auto clear_derivatives = [&] { clear(Field<T, false>{spectrum.c.derivative}, spectrum.density_size()); };
    for (std::int64_t i = begin; i < end; ++i) {
        centre.template expand<Need::derivative>(i);
        for (int lane = 0; lane < WIDTH<T>; ++lane) to_lane(shape, centre.c.value, lane, spectrum.c.value);
        clear_derivatives();
        T* to[WIDTH<T>];
        int count = 0;
        const auto finish = [&] {
            spectrum.values([&](std::int64_t f, const typename Field<T, true>::Vector& x) {
                features[i * n + f] = x.value[0];
                for (int lane = 0; lane < count; ++lane) to[lane][f] = x.derivative[lane];
            });
            clear_derivatives();
            count = 0;
        };
        centre.derivatives(dc, [&](std::int64_t edge, int axis, int channel) {
            for (int lm = 0; lm < shape.angular(); ++lm) {
                T* row = spectrum.c.derivative + WIDTH<T> * (std::ptrdiff_t(lm) * shape.width() + channel * shape.n_radial);
                for (int q = 0; q < shape.n_radial; ++q) row[WIDTH<T> * q + count] = dc[lm * shape.block + q];
            }
            to[count++] = dp + (3 * edge + axis) * n;
            if (count == WIDTH<T>) finish();
        });
        if (count > 0 || centre.used == 0) finish();
    }
}

// Linear model on a pack of centres: densities, their invariants' adjoint, and from there the gradient of every edge.
template <class T> struct LinearPack {
    const Graph<T>& graph;
    const Basis<T>& basis;
    const LinearResults<T>& results;
    Shape<T> shape;
    Multispectrum<T, false> spectrum;
    T* centre_memory;
    std::ptrdiff_t centre_size;
    std::int64_t centres[WIDTH<T>];
    int count = 0;

    LinearPack(const MultispectrumTerms<T>& terms, const Graph<T>& g, const Basis<T>& b, std::int64_t most_edges,
               const LinearResults<T>& r, Arena<T> arena)
        : graph(g),
          basis(b),
          results(r),
          shape(b),
          spectrum(terms, arena),
          centre_memory(arena.next),
          centre_size(Centre<T>::size(b, most_edges)) {}

    // energies and what else is wanted of the centres at hand, with the weights w[F] of their species
    void evaluate(const T* w) {
        int used[WIDTH<T>];
        clear(spectrum.c, spectrum.density_size());
        for (int lane = 0; lane < count; ++lane) {
            Centre<T> centre = of_lane(lane);
            if (results.gradient != nullptr) centre.template expand<Need::adjoint>(centres[lane]);
            else centre.template expand<Need::value>(centres[lane]);
            used[lane] = centre.used;
            to_lane(shape, centre.c.value, lane, spectrum.c.value);
        }
        Pack<T> energy{};
        if (results.gradient != nullptr) energy = spectrum.adjoint([&](std::int64_t f) { return w[f]; });
        if (results.gradient == nullptr || results.features != nullptr) energy = weighted_values(w);
        for (int lane = 0; lane < count; ++lane) results.energy[centres[lane] * results.energy_stride] = energy[lane];
        for (int lane = 0; lane < count && results.gradient != nullptr; ++lane) {
            Centre<T> centre = of_lane(lane);
            centre.used = used[lane];
            from_lane(shape, spectrum.d.value, lane, centre.d.value);
            centre.gradient(results.gradient);
        }
        count = 0;
    }

private:
    Centre<T> of_lane(int lane) const { return {graph, basis, Arena<T>{centre_memory + lane * centre_size}}; }

    Pack<T> weighted_values(const T* w) {
        const std::int64_t n = spectrum.terms.n_features();
        Pack<T> energy{};
        spectrum.values([&](std::int64_t f, const Pack<T>& x) {
            energy += x * w[f];
            for (int lane = 0; lane < count && results.features != nullptr; ++lane) {
                results.features[centres[lane] * n + f] = x[lane];
            }
        });
        return energy;
    }
};

template <class T>
void linear(const MultispectrumTerms<T>& terms, const Graph<T>& graph, const Basis<T>& basis, std::int64_t begin,
            std::int64_t end, const LinearWeights<T>& weights, const LinearResults<T>& results, T* workspace) {
    LinearPack<T> pack(terms, graph, basis, weights.most_edges, results, Arena<T>{workspace});
    for (std::int64_t set = 0; set < weights.n_sets; ++set) {
        const T* w = weights.values + set * terms.n_features();
        for (std::int64_t i = begin; i < end; ++i) {
            if (weights.n_sets > 1 && graph.species[graph.centre[i]] != set) continue;
            pack.centres[pack.count++] = i;
            if (pack.count == WIDTH<T>) pack.evaluate(w);
        }
        if (pack.count > 0) pack.evaluate(w);
    }
}

}  // namespace

template <class T> const MultispectrumKernels<T>& multispectrum_kernels() {
    static constexpr MultispectrumKernels<T> kernels{
        density_workspace<T>, graph_workspace<T>, values<T>, adjoint<T>, jacobian<T>, linear<T>,
    };
    return kernels;
}
template const MultispectrumKernels<double>& multispectrum_kernels<double>();
template const MultispectrumKernels<float>& multispectrum_kernels<float>();

}  // namespace rhopot::RHOPOT_VARIANT
