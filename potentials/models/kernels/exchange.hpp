// Features of atoms between two layers of messages, where each process has a part of the atoms.
//
// Rows of atoms that other processes own (ghosts: copies, also of periodic images) hold nothing after a layer, which updates
// the owned ones. `exchange_v1` makes every ghost row that of its owner; its adjoint adds every ghost row to its owner's.
// Without an exchange, where all atoms are in one graph, the operator changes nothing.
#pragma once

#include <cstdint>

namespace rhopot {

// width numbers for each of n_rows atoms, row by row.
struct FeatureRows {
    void* numbers;
    std::int64_t n_rows, width;
    bool is_float;  // else double
};

class FeatureExchange {
public:
    virtual void to_ghosts(const FeatureRows& rows) = 0;
    virtual void to_owners(const FeatureRows& rows) = 0;  // adds; ghost rows are zero afterwards

protected:
    ~FeatureExchange() = default;
};

// What the operator calls in this thread from now on, nullptr for none; gradients of what was computed with an exchange use
// that one, which must live until then. Returns the one before.
__attribute__((visibility("default"))) FeatureExchange* use_exchange(FeatureExchange* exchange);

}  // namespace rhopot
