// Multispectra of a pack of centres at once: a lane is a centre, so that every product of the sparse polynomials is one vector
// instruction whatever the indices are.
//
//   c[lm, u], d[lm, u]: density and its adjoint, packs of centres
//   V[k, m] = sum C c c of the pairs of one group;  A[k, m] = dE/dV
//
// A group of pairs is finished before the next is begun: values, terms, adjoint. It stays in the first-level cache.
#pragma once

#include "density/kernels/expansion.hpp"
#include "terms.hpp"

namespace rhopot::RHOPOT_VARIANT {

constexpr int PAIRS_AT_ONCE = 4;

template <class T> RHOPOT_INLINE T inverse_root(int degree) { return T(1 / __builtin_sqrt(2.0 * degree + 1)); }

template <class T, bool DUAL> struct Multispectrum {
    using V = typename Field<T, DUAL>::Vector;
    const MultispectrumTerms<T>& terms;
    Field<T, DUAL> c, d;             // [LM, U, WIDTH]
    Field<T, DUAL> pairs, adjoints;  // of a group [pairs, 2 l + 1, WIDTH]

    static std::ptrdiff_t size(const MultispectrumTerms<T>& terms) {
        const std::ptrdiff_t density = std::ptrdiff_t(terms.l_max + 1) * (terms.l_max + 1) * terms.width;
        return WIDTH<T> * (2 * density + 2 * terms.most_components);
    }
    Multispectrum(const MultispectrumTerms<T>& t, Arena<T>& arena) : terms(t) {
        c = arena.template take<DUAL>(density_size());
        d = arena.template take<DUAL>(density_size());
        pairs = arena.template take<DUAL>(WIDTH<T> * t.most_components);
        adjoints = arena.template take<DUAL>(WIDTH<T> * t.most_components);
    }

    // numbers of c and d
    std::ptrdiff_t density_size() const { return WIDTH<T> * std::ptrdiff_t(terms.l_max + 1) * (terms.l_max + 1) * terms.width; }
    // c[lm, u] of degree l, m counted from 0
    RHOPOT_INLINE std::ptrdiff_t place(int l, int m, std::int64_t u) const {
        return WIDTH<T> * (std::ptrdiff_t(l * l + m) * terms.width + u);
    }

    // V of COUNT pairs of a run, from its pair `from` on
    template <int COUNT> RHOPOT_INLINE void couple(const PairRun& run, int from, int degree) const {
        const Coupling& entries = terms.couplings[run.coupling];
        const T* value = terms.values[run.coupling];
        const Field<T, DUAL> left = c.at(place(run.l1, 0, run.u1)), right = c.at(place(run.l2, 0, run.u2 + from));
        const std::ptrdiff_t row = WIDTH<T> * std::ptrdiff_t(terms.width);
        for (int m = 0; m <= 2 * degree; ++m) {
            V sum[COUNT]{};
            for (std::int32_t e = entries.first[m]; e < entries.first[m + 1]; ++e) {
                const V scaled = left.load(entries.m1[e] * row) * value[e];
                const Field<T, DUAL> other = right.at(entries.m2[e] * row);
                RHOPOT_UNROLL
                for (int k = 0; k < COUNT; ++k) sum[k] += scaled * other.load(k * WIDTH<T>);
            }
            RHOPOT_UNROLL
            for (int k = 0; k < COUNT; ++k) {
                pairs.store(WIDTH<T> * (std::ptrdiff_t(run.first_pair + from + k) * (2 * degree + 1) + m), sum[k]);
            }
        }
    }
    // d += A dV/dc of COUNT pairs of a run
    template <int COUNT> RHOPOT_INLINE void couple_adjoint(const PairRun& run, int from, int degree) const {
        const Coupling& entries = terms.couplings[run.coupling];
        const T* value = terms.values[run.coupling];
        const std::ptrdiff_t l = place(run.l1, 0, run.u1), r = place(run.l2, 0, run.u2 + from);
        const std::ptrdiff_t row = WIDTH<T> * std::ptrdiff_t(terms.width);
        for (int m = 0; m <= 2 * degree; ++m) {
            V incoming[COUNT];
            RHOPOT_UNROLL
            for (int k = 0; k < COUNT; ++k) {
                incoming[k] = adjoints.load(WIDTH<T> * (std::ptrdiff_t(run.first_pair + from + k) * (2 * degree + 1) + m));
            }
            for (std::int32_t e = entries.first[m]; e < entries.first[m + 1]; ++e) {
                const std::ptrdiff_t a = l + entries.m1[e] * row, b = r + entries.m2[e] * row;
                const V left = c.load(a) * value[e];
                V sum{};
                RHOPOT_UNROLL
                for (int k = 0; k < COUNT; ++k) {
                    sum += incoming[k] * c.load(b + k * WIDTH<T>);
                    d.store(b + k * WIDTH<T>, d.load(b + k * WIDTH<T>) + left * incoming[k]);
                }
                d.store(a, d.load(a) + sum * value[e]);
            }
        }
    }
    // work.template operator()<COUNT>(run, from) for all pairs of a group, at most PAIRS_AT_ONCE of a run at a time
    template <class Work> RHOPOT_INLINE void over_runs(const PairGroup& group, const Work& work) const {
        for (int r = group.first_run; r < group.first_run + group.n_runs; ++r) {
            const PairRun& run = terms.runs[r];
            int from = 0;
            for (; from + PAIRS_AT_ONCE <= run.count; from += PAIRS_AT_ONCE) work.template operator()<PAIRS_AT_ONCE>(run, from);
            switch (run.count - from) {
                case 3: work.template operator()<3>(run, from); break;
                case 2: work.template operator()<2>(run, from); break;
                case 1: work.template operator()<1>(run, from); break;
                default: break;
            }
        }
    }
    void make_pairs(const PairGroup& group) const {
        over_runs(group, [&]<int COUNT>(const PairRun& run, int from) { couple<COUNT>(run, from, group.degree); });
    }
    void spread_adjoints(const PairGroup& group) const {
        over_runs(group, [&]<int COUNT>(const PairRun& run, int from) { couple_adjoint<COUNT>(run, from, group.degree); });
    }

    RHOPOT_INLINE V dot(Field<T, DUAL> a, std::ptrdiff_t a_row, Field<T, DUAL> b, std::ptrdiff_t b_row, int n) const {
        V sum{};
        for (int m = 0; m < n; ++m) sum += a.load(m * a_row) * b.load(m * b_row);
        return sum;
    }

    // hand(f, value of feature f as a pack of centres), for all features
    template <class Hand> void values(const Hand& hand) const {
        std::int64_t f = 0;
        for (std::int64_t i = 0; i < terms.n_one; ++i) hand(f++, c.load(place(0, 0, terms.one[i])));
        const std::ptrdiff_t row = WIDTH<T> * std::ptrdiff_t(terms.width);
        for (std::int64_t i = 0; i < terms.n_two; ++i) {
            const std::int64_t* t = terms.two + 3 * i;
            const T factor = inverse_root<T>(int(t[0])) * (t[1] == t[2] ? T(1) : T(__builtin_sqrt(2.0)));
            const auto rows = c.at(place(int(t[0]), 0, 0));
            hand(f++, dot(rows.at(WIDTH<T> * t[1]), row, rows.at(WIDTH<T> * t[2]), row, 2 * int(t[0]) + 1) * factor);
        }
        for (std::int64_t g = 0; g < terms.n_groups; ++g) {
            const PairGroup& group = terms.groups[g];
            const int n = 2 * group.degree + 1;
            const T factor = inverse_root<T>(group.degree);
            make_pairs(group);
            for (int k = 0; k < group.n_pairs; ++k) {
                const auto pair = pairs.at(WIDTH<T> * std::ptrdiff_t(k) * n);
                const std::int64_t number = group.first_pair + k;
                for (std::int64_t t = terms.first_three[number]; t < terms.first_three[number + 1]; ++t) {
                    const auto other = c.at(place(group.degree, 0, terms.three[2 * t + 1]));
                    hand(f + t, dot(pair, WIDTH<T>, other, row, n) * factor);
                }
                for (std::int64_t t = terms.first_four[number]; t < terms.first_four[number + 1]; ++t) {
                    const auto other = pairs.at(WIDTH<T> * std::ptrdiff_t(terms.four[2 * t + 1] - group.first_pair) * n);
                    hand(f + terms.n_three + t, dot(pair, WIDTH<T>, other, WIDTH<T>, n) * factor);
                }
            }
        }
    }

    // d = sum_f h_f df/dc; weight(f) gives h_f, one number or a pack of centres. Returns sum_f h_f f.
    template <class Weight> V adjoint(const Weight& weight) const {
        V energy{};
        const std::ptrdiff_t row = WIDTH<T> * std::ptrdiff_t(terms.width);
        for (std::ptrdiff_t i = 0; i < density_size(); i += WIDTH<T>) d.store(i, V{});
        std::int64_t f = 0;
        for (std::int64_t i = 0; i < terms.n_one; ++i, ++f) {
            const std::ptrdiff_t at = place(0, 0, terms.one[i]);
            const auto h = weight(f);
            energy += c.load(at) * h;
            d.store(at, d.load(at) + h);
        }
        for (std::int64_t i = 0; i < terms.n_two; ++i, ++f) {
            const std::int64_t* t = terms.two + 3 * i;
            const T factor = inverse_root<T>(int(t[0])) * (t[1] == t[2] ? T(1) : T(__builtin_sqrt(2.0)));
            const auto h = weight(f) * factor;
            std::ptrdiff_t u = place(int(t[0]), 0, t[1]), v = place(int(t[0]), 0, t[2]);
            for (int m = 0; m <= 2 * int(t[0]); ++m, u += row, v += row) {
                const V a = c.load(u), b = c.load(v);
                energy += a * b * h;
                d.store(u, d.load(u) + b * h);
                d.store(v, d.load(v) + a * h);
            }
        }
        for (std::int64_t g = 0; g < terms.n_groups; ++g) energy += adjoint_of_group(terms.groups[g], f, weight);
        return energy;
    }

    template <class Weight> V adjoint_of_group(const PairGroup& group, std::int64_t f, const Weight& weight) const {
        V energy{};
        const int n = 2 * group.degree + 1;
        const T factor = inverse_root<T>(group.degree);
        const std::ptrdiff_t row = WIDTH<T> * std::ptrdiff_t(terms.width), size = WIDTH<T> * std::ptrdiff_t(n);
        make_pairs(group);
        for (std::ptrdiff_t i = 0; i < size * group.n_pairs; i += WIDTH<T>) adjoints.store(i, V{});
        for (int k = 0; k < group.n_pairs; ++k) {
            const auto pair = pairs.at(size * k), into = adjoints.at(size * k);
            const std::int64_t number = group.first_pair + k;
            for (std::int64_t t = terms.first_three[number]; t < terms.first_three[number + 1]; ++t) {
                const auto h = weight(f + t) * factor;
                std::ptrdiff_t u = place(group.degree, 0, terms.three[2 * t + 1]);
                for (int m = 0; m < n; ++m, u += row) {
                    const V a = pair.load(m * WIDTH<T>), b = c.load(u);
                    energy += a * b * h;
                    into.store(m * WIDTH<T>, into.load(m * WIDTH<T>) + b * h);
                    d.store(u, d.load(u) + a * h);
                }
            }
            for (std::int64_t t = terms.first_four[number]; t < terms.first_four[number + 1]; ++t) {
                const auto h = weight(f + terms.n_three + t) * factor;
                const std::ptrdiff_t other = size * std::ptrdiff_t(terms.four[2 * t + 1] - group.first_pair);
                for (int m = 0; m < n; ++m) {
                    const V a = pair.load(m * WIDTH<T>), b = pairs.load(other + m * WIDTH<T>);
                    energy += a * b * h;
                    into.store(m * WIDTH<T>, into.load(m * WIDTH<T>) + b * h);
                    adjoints.store(other + m * WIDTH<T>, adjoints.load(other + m * WIDTH<T>) + a * h);
                }
            }
        }
        spread_adjoints(group);
        return energy;
    }
};

}  // namespace rhopot::RHOPOT_VARIANT
