// The kernels of read-outs on features, by the rules of problem.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "density/kernels/dispatch.hpp"

namespace rhopot {

// One centre's row of a sparse-kernel model, see sparse_rows.hpp.
template <class T> struct SparseKernels {
    T (*normalise)(T* row, std::ptrdiff_t n);
    T (*kernel_energy)(T* overlap, const T* weights, std::ptrdiff_t n, std::int64_t zeta, T* powers);
    void (*unnormalise)(T* gradient, const T* unit, std::ptrdiff_t n, T along, T inverse);
};
RHOPOT_IN_EVERY_VARIANT(template <class T> const SparseKernels<T>& sparse_kernels())
template <class T> const SparseKernels<T>& sparse_kernels() { return RHOPOT_CHOSEN(sparse_kernels<T>)(); }

// All rows of a Jacobian that belong to one centre: [n_rows, n_features].
template <class T> struct RowBlock {
    const T* rows;
    std::int64_t n_rows, n_features;
};

// Their products with the gradients [members, n_features] and forces [members, n_rows] of 1 to MEMBERS_AT_ONCE models, whose
// rows lie a stride apart.
constexpr int MEMBERS_AT_ONCE = 8;
template <class T> struct RowKernels {
    // forces[k, row] = rows[row] . gradient[k]; workspace of MEMBERS_AT_ONCE * n_features numbers
    void (*dot)(const RowBlock<T>&, int members, const T* gradient, std::int64_t gradient_stride, T* forces,
                std::int64_t forces_stride, T* workspace);
    // gradient[k] = sum over rows of forces[k, row] rows[row]
    void (*gather)(const RowBlock<T>&, int members, const T* forces, std::int64_t forces_stride, T* gradient,
                   std::int64_t gradient_stride);
};
RHOPOT_IN_EVERY_VARIANT(template <class T> const RowKernels<T>& row_kernels())
template <class T> const RowKernels<T>& row_kernels() { return RHOPOT_CHOSEN(row_kernels<T>)(); }

}  // namespace rhopot
