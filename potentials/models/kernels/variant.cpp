// The kernels of read-outs, compiled once per instruction set (RHOPOT_VARIANT names it), without inline functions of the standard
// library: rows of a sparse-kernel model (sparse_rows.hpp), and rows of a Jacobian against gradients,
//
//   dot:     forces[k, row] = sum_f rows[row, f] gradient[k, f]        members side by side in the lanes; one alone: features
//   gather:  gradient[k, f] = sum_row forces[k, row] rows[row, f]      features in the lanes
// Every row is read once for as many members as a pack has lanes.
#include "density/kernels/simd.hpp"
#include "read_out_kernels.hpp"
#include "sparse_rows.hpp"

namespace rhopot::RHOPOT_VARIANT {
namespace {

// sum over the lanes of each of as many packs as they have lanes
template <class T> RHOPOT_INLINE Pack<T> lane_sums(const Pack<T> (&x)[WIDTH<T>]) {
    T turned[WIDTH<T> * WIDTH<T>] __attribute__((aligned(64)));
    transpose_block(reinterpret_cast<const T*>(x), WIDTH<T>, turned);
    Pack<T> total{};
    for (int lane = 0; lane < WIDTH<T>; ++lane) total += load_pack<T>(turned + lane * WIDTH<T>);
    return total;
}

template <class T> void dot_alone(const RowBlock<T>& block, const T* gradient, T* forces) {
    const std::int64_t n = block.n_features, whole = n / WIDTH<T> * WIDTH<T>, rest = n - whole;
    for (std::int64_t row = 0; row < block.n_rows; row += WIDTH<T>) {
        const int count = block.n_rows - row < WIDTH<T> ? int(block.n_rows - row) : WIDTH<T>;
        Pack<T> sums[WIDTH<T>] = {};
        for (int k = 0; k < count; ++k) {
            const T* from = block.rows + (row + k) * n;
            Pack<T> sum{};
            for (std::int64_t f = 0; f < whole; f += WIDTH<T>) sum += load_pack<T>(from + f) * load_pack<T>(gradient + f);
            if (rest > 0) sum += load_some(from + whole, rest) * load_some(gradient + whole, rest);
            sums[k] = sum;
        }
        store_some(forces + row, lane_sums<T>(sums), count);
    }
}

// members [0, members), at most one to a lane
template <class T>
void dot_lanes(const RowBlock<T>& block, int members, const T* gradient, std::int64_t gradient_stride, T* forces,
               std::int64_t forces_stride, T* workspace) {
    constexpr int ROWS = 8;
    const std::int64_t n = block.n_features;
    for (std::int64_t f = 0; f < n; ++f) {
        for (int k = 0; k < WIDTH<T>; ++k) workspace[f * WIDTH<T> + k] = k < members ? gradient[k * gradient_stride + f] : T(0);
    }
    T product[ROWS * WIDTH<T>] __attribute__((aligned(64)));
    for (std::int64_t row = 0; row < block.n_rows; row += ROWS) {
        const int count = block.n_rows - row < ROWS ? int(block.n_rows - row) : ROWS;
        multiply<false>(count, Field<const T, false>{block.rows + row * n}, n, 1, Field<T, false>{workspace}, WIDTH<T>, int(n),
                        Field<T, false>{product}, WIDTH<T>);
        for (int k = 0; k < members; ++k) {
            for (int i = 0; i < count; ++i) forces[k * forces_stride + row + i] = product[i * WIDTH<T> + k];
        }
    }
}

template <class T>
void dot(const RowBlock<T>& block, int members, const T* gradient, std::int64_t gradient_stride, T* forces,
         std::int64_t forces_stride, T* workspace) {
    if (members == 1) return dot_alone(block, gradient, forces);
    for (int first = 0; first < members; first += WIDTH<T>) {
        const int count = members - first < WIDTH<T> ? members - first : WIDTH<T>;
        dot_lanes(block, count, gradient + first * gradient_stride, gradient_stride, forces + first * forces_stride,
                  forces_stride, workspace);
    }
}

// `PACKS` packs of features from f on for all members, summed in registers; the last one may hold less than a whole one
template <int MEMBERS, int PACKS, class T>
RHOPOT_INLINE void gather_tile(const RowBlock<T>& block, std::int64_t f, const T* forces, std::int64_t forces_stride,
                               T* gradient, std::int64_t gradient_stride) {
    const std::int64_t n = block.n_features, left = n - f;
    const bool whole = left >= PACKS * WIDTH<T>;
    Pack<T> sum[MEMBERS][PACKS] = {};
    for (std::int64_t row = 0; row < block.n_rows; ++row) {
        const T* from = block.rows + row * n + f;
        for (int p = 0; p < PACKS; ++p) {
            const Pack<T> x = whole ? load_pack<T>(from + p * WIDTH<T>) : load_some(from, left);
            for (int k = 0; k < MEMBERS; ++k) sum[k][p] += x * forces[k * forces_stride + row];
        }
    }
    for (int k = 0; k < MEMBERS; ++k) {
        for (int p = 0; p < PACKS; ++p) {
            T* to = gradient + k * gradient_stride + f + p * WIDTH<T>;
            if (whole) store_pack<T>(to, sum[k][p]);
            else store_some(to, sum[k][p], left);
        }
    }
}

template <int MEMBERS, class T>
void gather_members(const RowBlock<T>& block, const T* forces, std::int64_t forces_stride, T* gradient,
                    std::int64_t gradient_stride) {
    constexpr int PACKS = MEMBERS <= 4 ? 4 : 2;
    std::int64_t f = 0;
    for (; f + PACKS * WIDTH<T> <= block.n_features; f += PACKS * WIDTH<T>) {
        gather_tile<MEMBERS, PACKS>(block, f, forces, forces_stride, gradient, gradient_stride);
    }
    for (; f < block.n_features; f += WIDTH<T>)
        gather_tile<MEMBERS, 1>(block, f, forces, forces_stride, gradient, gradient_stride);
}

template <class T>
void gather(const RowBlock<T>& block, int members, const T* forces, std::int64_t forces_stride, T* gradient,
            std::int64_t gradient_stride) {
    switch (members) {
        case 1: return gather_members<1>(block, forces, forces_stride, gradient, gradient_stride);
        case 2: return gather_members<2>(block, forces, forces_stride, gradient, gradient_stride);
        case 3: return gather_members<3>(block, forces, forces_stride, gradient, gradient_stride);
        case 4: return gather_members<4>(block, forces, forces_stride, gradient, gradient_stride);
        case 5: return gather_members<5>(block, forces, forces_stride, gradient, gradient_stride);
        case 6: return gather_members<6>(block, forces, forces_stride, gradient, gradient_stride);
        case 7: return gather_members<7>(block, forces, forces_stride, gradient, gradient_stride);
        default: return gather_members<8>(block, forces, forces_stride, gradient, gradient_stride);
    }
}

}  // namespace

template <class T> const SparseKernels<T>& sparse_kernels() {
    static constexpr SparseKernels<T> kernels{normalise<T>, kernel_energy<T>, unnormalise<T>};
    return kernels;
}
template const SparseKernels<double>& sparse_kernels<double>();
template const SparseKernels<float>& sparse_kernels<float>();

template <class T> const RowKernels<T>& row_kernels() {
    static constexpr RowKernels<T> kernels{dot<T>, gather<T>};
    return kernels;
}
template const RowKernels<double>& row_kernels<double>();
template const RowKernels<float>& row_kernels<float>();

}  // namespace rhopot::RHOPOT_VARIANT
