// Weighted norms over the orders of several probes, of one centre, and their adjoint.
//
//   s[n, p] = sum over l + 2t = n, m of c[lm, t P + p]^2,   root = sqrt(s + eps^2),   Phi = s / (root + eps)
//   dE/dc[lm, t P + p] = h[n, p] / root[n, p] c[lm, t P + p],   n = l + 2t,   h = dE/dPhi
//
// Inside, rows of orders are [n, PP] with PP the number of probes padded to whole packs, and rows of columns
// (l; t P + p) have a stride with a pack more than they use, because they are read and written in pieces of PP.
#pragma once

#include "density/kernels/expansion.hpp"

namespace rhopot::RHOPOT_VARIANT {

template <class T> struct Orders {
    int l_max, n_probes, n_terms;
    std::ptrdiff_t width, row;  // of one order, of one degree

    Orders(const Shape<T>& shape, int probes)
        : l_max(shape.l_max),
          n_probes(probes),
          n_terms(shape.width() / probes),
          width(padded<T>(probes)),
          row(shape.row + WIDTH<T>) {}
    RHOPOT_INLINE int terms(int left) const { return left / 2 + 1 < n_terms ? left / 2 + 1 : n_terms; }
    // columns that degree l reads
    RHOPOT_INLINE int used(int l) const { return n_probes * terms(l_max - l); }
    std::ptrdiff_t size() const { return (l_max + 1) * width; }
    std::ptrdiff_t by_degree() const { return (l_max + 1) * row; }
    std::ptrdiff_t features() const { return std::ptrdiff_t(l_max + 1) * n_probes; }

    // visit(f, position in [n, PP]) for every feature f = p (L+1) + n
    template <class Visit> RHOPOT_INLINE void for_each_feature(Visit visit) const {
        for (int p = 0; p < n_probes; ++p) {
            for (int n = 0; n <= l_max; ++n) visit(std::ptrdiff_t(p) * (l_max + 1) + n, n * width + p);
        }
    }
};

// eps by order, one in the padding
template <class T> RHOPOT_INLINE void arrange_floor(const Orders<T>& orders, const T* floor, T* to) {
    for (std::ptrdiff_t i = 0; i < orders.size(); ++i) to[i] = T(1);
    orders.for_each_feature([&](std::ptrdiff_t f, std::ptrdiff_t at) { to[at] = floor[f]; });
}

// sums[n, p] = sum over the columns of order n of x[l, t P + p]
template <class T, bool DUAL>
RHOPOT_INLINE void sum_by_order(const Orders<T>& orders, const Field<T, DUAL>& x, const Field<T, DUAL>& sums) {
    for (int n = 0; n <= orders.l_max; ++n) {
        for (std::ptrdiff_t p = 0; p < orders.width; p += WIDTH<T>) {
            auto total = zero<T, DUAL>();
            for (int t = 0; t < orders.terms(n); ++t) total += x.load((n - 2 * t) * orders.row + t * orders.n_probes + p);
            sums.store(n * orders.width + p, total);
        }
    }
}

// to[l, t P + p] = x[l + 2t, p]; later terms overwrite what earlier ones write too far
template <class T, bool DUAL>
RHOPOT_INLINE void spread_to_degrees(const Orders<T>& orders, const Field<T, DUAL>& x, const Field<T, DUAL>& to) {
    for (int l = 0; l <= orders.l_max; ++l) {
        for (int t = 0; t < orders.terms(orders.l_max - l); ++t) {
            for (std::ptrdiff_t p = 0; p < orders.width; p += WIDTH<T>) {
                to.store(l * orders.row + t * orders.n_probes + p, x.load((l + 2 * t) * orders.width + p));
            }
        }
    }
}

// What one centre needs besides its density.
template <class T, bool DUAL> struct OrderMemory {
    Field<T, DUAL> by_degree;  // [l, row]
    Field<T, DUAL> square;     // [n, PP]: s
    Field<T, DUAL> root;       // [n, PP]: sqrt(s + eps^2)
    Field<T, false> floor;     // [n, PP]: eps

    static std::ptrdiff_t size(const Orders<T>& orders) {
        return (orders.by_degree() + 2 * orders.size()) * (DUAL ? 2 : 1) + orders.size();
    }
    static OrderMemory from(Arena<T>& arena, const Orders<T>& orders, const T* floor) {
        OrderMemory memory;
        memory.by_degree = arena.template take<DUAL>(orders.by_degree());
        memory.square = arena.template take<DUAL>(orders.size());
        memory.root = arena.template take<DUAL>(orders.size());
        memory.floor = arena.template take<false>(orders.size());
        clear(memory.by_degree, orders.by_degree());
        arrange_floor(orders, floor, memory.floor.value);
        return memory;
    }
};

// s and the root of one centre
template <class T, bool DUAL>
inline void norms(const Shape<T>& shape, const Orders<T>& orders, const Field<T, DUAL>& c, const OrderMemory<T, DUAL>& memory) {
    for (int l = 0; l <= orders.l_max; ++l) {
        for (std::ptrdiff_t q = 0; q < orders.used(l); q += WIDTH<T>) {
            auto total = zero<T, DUAL>();
            for (int lm = l * l; lm < (l + 1) * (l + 1); ++lm) {
                const auto x = c.load(lm * shape.row + q);
                total += x * x;
            }
            memory.by_degree.store(l * orders.row + q, total);
        }
    }
    sum_by_order(orders, memory.by_degree, memory.square);
    for (std::ptrdiff_t i = 0; i < orders.size(); i += WIDTH<T>) {
        const Pack<T> eps = memory.floor.load(i);
        memory.root.store(i, square_root(memory.square.load(i) + eps * eps));
    }
}

// Phi[F] of one centre (its derivative when DUAL) after `norms`
template <class T, bool DUAL>
inline void invariants(const Orders<T>& orders, const OrderMemory<T, DUAL>& memory, T* phi) {
    for (std::ptrdiff_t i = 0; i < orders.size(); i += WIDTH<T>) {
        const auto root = memory.root.load(i);
        memory.square.store(i, memory.square.load(i) * reciprocal(root + memory.floor.load(i)));
    }
    const T* from = memory.square.value;
    if constexpr (DUAL) from = memory.square.derivative;
    orders.for_each_feature([&](std::ptrdiff_t f, std::ptrdiff_t at) { phi[f] = from[at]; });
}

// d[lm, q] = h / root c in the columns in use, after `norms`; h null stands for ones
template <class T, bool DUAL>
inline void invariants_adjoint(const Shape<T>& shape, const Orders<T>& orders, const Field<T, DUAL>& c,
                               const OrderMemory<T, DUAL>& memory, const T* h, const Field<T, DUAL>& d) {
    T* incoming = memory.square.value;
    for (std::ptrdiff_t i = 0; i < orders.size(); ++i) incoming[i] = h == nullptr ? T(1) : T(0);
    if (h != nullptr) orders.for_each_feature([&](std::ptrdiff_t f, std::ptrdiff_t at) { incoming[at] = h[f]; });
    for (std::ptrdiff_t i = 0; i < orders.size(); i += WIDTH<T>) {
        memory.root.store(i, reciprocal(memory.root.load(i)) * load_pack<T>(incoming + i));
    }
    spread_to_degrees(orders, memory.root, memory.by_degree);
    for (int l = 0; l <= orders.l_max; ++l) {
        for (std::ptrdiff_t q = 0; q < orders.used(l); q += WIDTH<T>) {
            const auto factor = memory.by_degree.load(l * orders.row + q);
            for (int lm = l * l; lm < (l + 1) * (l + 1); ++lm) {
                d.store(lm * shape.row + q, c.load(lm * shape.row + q) * factor);
            }
        }
    }
}

}  // namespace rhopot::RHOPOT_VARIANT
