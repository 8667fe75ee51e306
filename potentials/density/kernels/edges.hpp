// A pack of edges of one centre (as many as a register has lanes), ready for the matrix products: harmonics by lanes, radial
// functions both ways round.
//
// The radial functions are a quintic Hermite spline: with s = r/h - k in [0, 1) on the interval [r_k, r_{k+1}]
//   R = sum over the six rows of the two knots (value, derivative, curvature) of a weight w(s) times the row,
// and the rows of consecutive knots follow each other in memory, so all (l, q) are evaluated by six multiply-adds on
// contiguous numbers. At and beyond the cutoff all weights are zero. An edge of length zero keeps its value and no derivative.
#pragma once

#include "harmonics.hpp"

namespace rhopot::RHOPOT_VARIANT {

constexpr int SPLINE_ROWS = 6;

// what a batch is prepared for: the density, its derivative by the edges, or the adjoint of the density
enum class Need { value, derivative, adjoint };

// w[row], w[6 + row]: weights of value and of d/dr, at s on intervals of width h
template <class T, class V> RHOPOT_INLINE void spline_weights(const V& s, T h, V* w) {
    const T half = T(0.5), inverse = 1 / h;
    const V s2 = s * s, s3 = s2 * s, s4 = s2 * s2, s5 = s3 * s2;
    const V to_next = s3 * T(10) - s4 * T(15) + s5 * T(6);
    const V to_next_derivative = (s2 * T(30) - s3 * T(60) + s4 * T(30)) * inverse;
    w[0] = V{} + T(1) - to_next;
    w[1] = (s - s3 * T(6) + s4 * T(8) - s5 * T(3)) * h;
    w[2] = (s2 - s3 * T(3) + s4 * T(3) - s5) * (half * h * h);
    w[3] = to_next;
    w[4] = (s4 * T(7) - s3 * T(4) - s5 * T(3)) * h;
    w[5] = (s3 - s4 * T(2) + s5) * (half * h * h);
    w[6] = V{} - to_next_derivative;
    w[7] = V{} + T(1) - s2 * T(18) + s3 * T(32) - s4 * T(15);
    w[8] = (s * T(2) - s2 * T(9) + s3 * T(12) - s4 * T(5)) * (half * h);
    w[9] = to_next_derivative;
    w[10] = s3 * T(28) - s2 * T(12) - s4 * T(15);
    w[11] = (s2 * T(3) - s3 * T(8) + s4 * T(5)) * (half * h);
}

template <class T, bool DUAL> struct EdgeBatch {
    using V = typename Field<T, DUAL>::Vector;
    int channel;
    int count;                 // edges in use; the other lanes lie beyond the cutoff and contribute zero
    std::int64_t edge[WIDTH<T>];  // their numbers
    Field<T, DUAL> direction;  // [4, WIDTH]: x, y, z of the unit vector, and 1 / r
    Harmonics<T, DUAL> harmonics;
    Field<T, DUAL> radial;     // [WIDTH, (l, q) as in Columns]
    Field<T, DUAL> derivative;      // the same, d/dr
    Field<T, DUAL> radial_by_lane;  // [(l, q), WIDTH]
    Field<T, DUAL> derivative_by_lane;

    static std::ptrdiff_t rows(const Basis<T>& b) { return b.columns.row; }
    static std::ptrdiff_t size(const Basis<T>& b) {
        return Harmonics<T, DUAL>::size(b.l_max) + WIDTH<T> * (5 + 4 * rows(b)) * (DUAL ? 2 : 1);
    }
    static EdgeBatch from(Arena<T>& arena, const Basis<T>& b) {
        EdgeBatch batch;
        batch.direction = arena.template take<DUAL>(4 * WIDTH<T>);
        batch.harmonics = Harmonics<T, DUAL>::from(arena, b.l_max);
        batch.radial = arena.template take<DUAL>(WIDTH<T> * (rows(b) + 1));
        batch.radial.store(WIDTH<T> * rows(b), zero<T, DUAL>());  // the last row is read up to a pack too far
        batch.derivative = arena.template take<DUAL>(WIDTH<T> * rows(b));
        batch.radial_by_lane = arena.template take<DUAL>(WIDTH<T> * rows(b));
        batch.derivative_by_lane = arena.template take<DUAL>(WIDTH<T> * rows(b));
        return batch;
    }
};

// gathers coordinate `axis` of the batch's edges; empty lanes get `filler`
template <class T, bool DUAL>
RHOPOT_INLINE auto gather(const Graph<T>& graph, const EdgeBatch<T, DUAL>& batch, int axis, T filler) {
    typename Field<T, DUAL>::Vector result{};
    for (int lane = 0; lane < WIDTH<T>; ++lane) {
        const bool used = lane < batch.count;
        const std::int64_t at = used ? 3 * batch.edge[lane] + axis : 0;
        if constexpr (DUAL) {
            result.value[lane] = used ? graph.edge_vectors[at] : filler;
            result.derivative[lane] = used ? graph.tangents[at] : T(0);
        } else {
            result[lane] = used ? graph.edge_vectors[at] : filler;
        }
    }
    return result;
}

// six rows of the table times their weights, for value and (DERIVATIVE) derivative of one edge; `table` is the first of the six
template <class T, bool DUAL, bool DERIVATIVE>
RHOPOT_INLINE void evaluate_spline(const Basis<T>& basis, const EdgeBatch<T, DUAL>& batch, const Field<T, DUAL>& weights,
                                   const T* table, int lane) {
    using V = typename Field<T, DUAL>::Vector;
    using Number = decltype(weights.scalar(0));
    constexpr int N_WEIGHTS = DERIVATIVE ? 2 * SPLINE_ROWS : SPLINE_ROWS;
    Number w[N_WEIGHTS];
    for (int i = 0; i < N_WEIGHTS; ++i) w[i] = weights.scalar(WIDTH<T> * i + lane);
    const std::ptrdiff_t n = std::ptrdiff_t(basis.l_max + 1) * basis.n_radial;
    const Field<T, DUAL> radial = batch.radial.at(lane * basis.columns.row),
                         derivative = batch.derivative.at(lane * basis.columns.row);
    const auto evaluate = [&](std::ptrdiff_t to, auto load) {
        V r{}, d{};
        RHOPOT_UNROLL
        for (int row = 0; row < SPLINE_ROWS; ++row) {
            Pack<T> t = load(table + row * n);
            if constexpr (DERIVATIVE) keep_in_register(t);
            r += w[row] * t;
            if constexpr (DERIVATIVE) d += w[SPLINE_ROWS + row] * t;
        }
        radial.store(to, r);
        if constexpr (DERIVATIVE) derivative.store(to, d);
    };
    for (int k = 0; k < basis.columns.n_runs; ++k) {
        const Columns::Run& run = basis.columns.runs[k];
        // whole packs may read past the run, but not past the table's row
        const std::ptrdiff_t whole = (n - run.from) / WIDTH<T> * WIDTH<T>;
        std::ptrdiff_t i = 0;
        for (; i < run.count && i < whole; i += WIDTH<T>) {
            evaluate(run.to + i, [&](const T* row) { return load_pack<T>(row + run.from + i); });
        }
        if (i < run.count) {
            evaluate(run.to + i, [&](const T* row) { return load_some(row + run.from + i, run.count - i); });
            i += WIDTH<T>;
        }
        // what a pack narrower than the padding leaves of it: packs at the end of one degree read the beginning of it
        for (; i % Columns::MULTIPLE != 0; i += WIDTH<T>) {
            radial.store(run.to + i, zero<T, DUAL>());
            if constexpr (DERIVATIVE) derivative.store(run.to + i, zero<T, DUAL>());
        }
    }
}

template <class T, bool DUAL>
RHOPOT_INLINE void transpose(const Field<T, DUAL>& from, const Field<T, DUAL>& to, std::ptrdiff_t rows) {
    for (std::ptrdiff_t i = 0; i < rows; i += WIDTH<T>) {
        transpose_block(from.value + i, rows, to.value + i * WIDTH<T>);
        if constexpr (DUAL) transpose_block(from.derivative + i, rows, to.derivative + i * WIDTH<T>);
    }
}

// fills everything in the batch but its edge numbers; NEED says what will be read
template <class T, bool DUAL, Need NEED>
inline void prepare(const Graph<T>& graph, const Basis<T>& basis, const EdgeBatch<T, DUAL>& batch) {
    using V = typename Field<T, DUAL>::Vector;
    const V x = gather(graph, batch, 0, T(0)), y = gather(graph, batch, 1, T(0));
    const V z = gather(graph, batch, 2, 2 * basis.cutoff);
    const V square = x * x + y * y + z * z;
    const auto apart = values(square) > 0;
    const V length = square_root(where(apart, square, T(1)));
    const V inverse = where(apart, reciprocal(length), T(0)), r = where(apart, length, T(0));
    const V ux = x * inverse, uy = y * inverse, uz = z * inverse;
    batch.direction.store(0, ux);
    batch.direction.store(WIDTH<T>, uy);
    batch.direction.store(2 * WIDTH<T>, uz);
    batch.direction.store(3 * WIDTH<T>, inverse);
    evaluate_harmonics(batch.harmonics, *basis.constants, basis.l_max, ux, uy, uz);

    const T h = basis.cutoff / T(basis.n_knots - 1);
    const auto inside = values(r) < basis.cutoff;
    const V scaled = r * (1 / h);
    const T last = T(basis.n_knots - 2);
    std::int64_t knot[WIDTH<T>];
    Pack<T> start;
    RHOPOT_UNROLL
    for (int lane = 0; lane < WIDTH<T>; ++lane) {
        const T at = values(scaled)[lane];
        knot[lane] = std::int64_t(at < last ? at : last);
        start[lane] = T(knot[lane]);
    }
    V w[2 * SPLINE_ROWS];
    spline_weights(scaled - start, h, w);
    T memory[2 * SPLINE_ROWS * WIDTH<T> * (DUAL ? 2 : 1)] __attribute__((aligned(64)));
    Arena<T> arena{memory};
    const Field<T, DUAL> weights = arena.template take<DUAL>(2 * SPLINE_ROWS * WIDTH<T>);
    constexpr bool derivative = NEED != Need::value;
    for (int i = 0; i < (derivative ? 2 : 1) * SPLINE_ROWS; ++i) weights.store(WIDTH<T> * i, where(inside, w[i], T(0)));

    const std::ptrdiff_t n = std::ptrdiff_t(basis.l_max + 1) * basis.n_radial;
    for (int lane = 0; lane < WIDTH<T>; ++lane) {
        const std::int64_t a = lane < batch.count ? graph.species[graph.neighbour[batch.edge[lane]]] : 0;
        const T* table = basis.radial + (a * basis.n_knots + knot[lane]) * 3 * n;
        evaluate_spline<T, DUAL, derivative>(basis, batch, weights, table, lane);
    }
    if constexpr (NEED == Need::adjoint) {
        transpose(batch.radial, batch.radial_by_lane, basis.columns.row);
        transpose(batch.derivative, batch.derivative_by_lane, basis.columns.row);
    }
}

// calls visit(batch) for the edges [begin, end) in packs of one channel; `next` hands out the batch to fill
template <class T, bool DUAL, class Next, class Visit>
RHOPOT_INLINE void for_each_batch(const Graph<T>& graph, const Basis<T>& basis, std::int64_t begin, std::int64_t end, Next next,
                                  Visit visit) {
    for (int channel = 0; channel < basis.n_channels; ++channel) {
        EdgeBatch<T, DUAL>* batch = nullptr;
        for (std::int64_t e = begin; e < end; ++e) {
            if (basis.n_channels > 1 && basis.species_channel[graph.species[graph.neighbour[e]]] != channel) continue;
            if (batch == nullptr) {
                batch = next();
                batch->channel = channel;
                batch->count = 0;
            }
            batch->edge[batch->count++] = e;
            if (batch->count == WIDTH<T>) {
                visit(*batch);
                batch = nullptr;
            }
        }
        if (batch != nullptr) visit(*batch);
    }
}

// batches that a centre with this many edges can need
template <class T> RHOPOT_INLINE std::ptrdiff_t batches_needed(const Basis<T>& basis, std::int64_t edges) {
    return edges / WIDTH<T> + basis.n_channels;
}

}  // namespace rhopot::RHOPOT_VARIANT
