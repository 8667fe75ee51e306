// A centre whose batches are kept between the expansion and its adjoint, so that splines and harmonics are evaluated once.
#pragma once

#include "expansion.hpp"

namespace rhopot::RHOPOT_VARIANT {

template <class T> struct Centre {
    const Graph<T>& graph;
    const Basis<T>& basis;
    Shape<T> shape;
    Field<T, false> c, d, scratch;  // density [lm, row], its adjoint, and [3, lm, WIDTH]
    T* batch_memory;
    int used = 0;

    // takes the rest of the arena
    Centre(const Graph<T>& g, const Basis<T>& b, Arena<T> arena) : graph(g), basis(b), shape(b) {
        c = arena.template take<false>(shape.angular() * shape.row);
        d = arena.template take<false>(shape.angular() * shape.row);
        scratch = arena.template take<false>(3 * WIDTH<T> * shape.angular());
        batch_memory = arena.next;
    }
    static std::ptrdiff_t size(const Basis<T>& basis, std::int64_t edges) {
        const Shape<T> shape(basis);
        return 2 * shape.angular() * shape.row + 3 * WIDTH<T> * shape.angular() + batches_needed(basis, edges) * slot(basis);
    }
    EdgeBatch<T, false>& batch(int k) const { return *reinterpret_cast<EdgeBatch<T, false>*>(batch_memory + k * slot(basis)); }

    // c, keeping every batch; NEED names what they are prepared for
    template <Need NEED> void expand(std::int64_t i) {
        used = 0;
        clear(c, shape.angular() * shape.row);
        int summed = 0;
        const auto sum_up_to = [&](int end) {
            if (end > summed) accumulate(basis, shape, batch(summed), c, end - summed, slot(basis));
            summed = end;
        };
        const std::int64_t from = graph.first_edge[i], upto = graph.first_edge[i + 1];
        for_each_batch<T, false>(graph, basis, from, upto, [&] { return next(); }, [&](EdgeBatch<T, false>& b) {
            prepare<T, false, NEED>(graph, basis, b);
            if (batch(summed).channel != b.channel) sum_up_to(used - 1);
            if (used - summed == GROUP) sum_up_to(used);
        });
        sum_up_to(used);
        add_own(graph, basis, shape, i, c);
    }
    // dE/dr of the kept edges, from d = dE/dc; they must have been prepared for the adjoint
    void gradient(T* to) const {
        for (int k = 0; k < used; ++k) adjoint(basis, shape, batch(k), d, scratch, to);
    }

    // visit(edge, axis, channel), with dc[lm, block] the density's derivative by that coordinate; prepared for the derivative
    template <class Visit> void derivatives(T* dc, const Visit& visit) const {
        for (int k = 0; k < used; ++k) {
            const EdgeBatch<T, false>& b = batch(k);
            harmonic_gradients(b, *basis.constants, shape.l_max, scratch.value);
            for (int row = 0; row < 3 * b.count; ++row) {
                const int lane = row / 3, axis = row % 3;
                density_derivative(basis, shape, b, lane, scratch.value + axis * WIDTH<T> * shape.angular(),
                                   b.direction.scalar(axis * WIDTH<T> + lane), dc);
                visit(b.edge[lane], axis, b.channel);
            }
        }
    }

private:
    // batches that are summed at once: c is read and written once for all of them, and they are still in the first-level cache
    static constexpr int GROUP = 4;

    // numbers before a batch's arrays: the batch itself, in whole packs
    static constexpr std::ptrdiff_t HEADER = padded<T>((sizeof(EdgeBatch<T, false>) + sizeof(T) - 1) / sizeof(T));

    static std::ptrdiff_t slot(const Basis<T>& basis) { return HEADER + EdgeBatch<T, false>::size(basis); }
    EdgeBatch<T, false>* next() {
        T* at = batch_memory + used++ * slot(basis);
        auto* batch = reinterpret_cast<EdgeBatch<T, false>*>(at);
        Arena<T> arena{at + HEADER};
        *batch = EdgeBatch<T, false>::from(arena, basis);
        return batch;
    }
};

}  // namespace rhopot::RHOPOT_VARIANT
