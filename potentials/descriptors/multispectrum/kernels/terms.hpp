// The invariants of orders 1 to 4 as kernels are given them; potentials/descriptors/multispectrum/terms.py says what they are.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rhopot {

// A run of pairs (l1 u1, l2 u2) -> l with the same l1, u1, l2 and consecutive u2; pairs are numbered as in `terms.py`.
struct PairRun {
    std::int32_t l1, u1, l2, u2, count;
    std::int32_t first_pair;  // within its group
    std::int32_t coupling;
};

// Pairs of one degree and parity, and what is made of them.
struct PairGroup {
    std::int32_t degree, n_pairs, first_pair;
    std::int32_t first_run, n_runs;
};

// The Clebsch-Gordan coefficients of (l1, l2, l) that are not zero, sorted by m: entries first[m] ... first[m + 1] - 1.
struct Coupling {
    const std::int32_t* first;  // [2l + 2]
    const std::int32_t *m1, *m2;
};

template <class T> struct MultispectrumTerms {
    int l_max, width;  // of the density: degrees 0 ... l_max, U channels
    std::int64_t n_one, n_two, n_pairs, n_three, n_four, n_groups;
    const std::int64_t* one;    // [F1] u
    const std::int64_t* two;    // [F2, 3] l, u, v
    const std::int64_t* three;  // [F3, 2] pair, u; sorted by pair
    const std::int64_t* four;   // [F4, 2] pair, pair; sorted by the first
    const std::int64_t *first_three, *first_four;  // [K + 1] terms of each pair, as its first
    const PairGroup* groups;
    const PairRun* runs;
    const Coupling* couplings;
    const T* const* values;  // values of each coupling's entries
    std::int64_t most_components;  // numbers of the largest group: its pairs times 2 l + 1

    std::int64_t n_features() const { return n_one + n_two + n_three + n_four; }
};

}  // namespace rhopot
