// Rows of a Jacobian against slopes, compiled once per instruction set like the kernels of variant.cpp, by the same rules.
//
//   dot:     forces[k, row] = sum_f rows[row, f] slope[k, f]        members side by side in the lanes; one alone: features
//   gather:  slope[k, f] = sum_row forces[k, row] rows[row, f]      features in the lanes
// Every row is read once for up to eight members.
#include "problem.hpp"
#include "simd.hpp"

namespace rhopot::RHOPOT_VARIANT {
namespace {

// sum over the lanes of each of eight packs
template <class T> RHOPOT_INLINE Pack<T> lane_sums(const Pack<T> (&x)[WIDTH]) {
    T turned[WIDTH * WIDTH] __attribute__((aligned(64)));
    transpose_block(reinterpret_cast<const T*>(x), WIDTH, turned);
    Pack<T> total{};
    for (int lane = 0; lane < WIDTH; ++lane) total += load_pack<T>(turned + lane * WIDTH);
    return total;
}

template <class T> void dot_alone(const RowBlock<T>& block, const T* slope, T* forces) {
    const std::int64_t n = block.n_features, whole = n / WIDTH * WIDTH, rest = n - whole;
    for (std::int64_t row = 0; row < block.n_rows; row += WIDTH) {
        const int count = block.n_rows - row < WIDTH ? int(block.n_rows - row) : WIDTH;
        Pack<T> sums[WIDTH] = {};
        for (int k = 0; k < count; ++k) {
            const T* from = block.rows + (row + k) * n;
            Pack<T> sum{};
            for (std::int64_t f = 0; f < whole; f += WIDTH) sum += load_pack<T>(from + f) * load_pack<T>(slope + f);
            if (rest > 0) sum += load_some(from + whole, rest) * load_some(slope + whole, rest);
            sums[k] = sum;
        }
        store_some(forces + row, lane_sums<T>(sums), count);
    }
}

template <class T>
void dot(const RowBlock<T>& block, int members, const T* slope, std::int64_t slope_stride, T* forces,
         std::int64_t forces_stride, T* workspace) {
    if (members == 1) return dot_alone(block, slope, forces);
    const std::int64_t n = block.n_features;
    for (std::int64_t f = 0; f < n; ++f) {
        for (int k = 0; k < WIDTH; ++k) workspace[f * WIDTH + k] = k < members ? slope[k * slope_stride + f] : T(0);
    }
    T product[WIDTH * WIDTH] __attribute__((aligned(64))) = {}, turned[WIDTH * WIDTH] __attribute__((aligned(64)));
    for (std::int64_t row = 0; row < block.n_rows; row += WIDTH) {
        const int count = block.n_rows - row < WIDTH ? int(block.n_rows - row) : WIDTH;
        multiply<false>(count, Field<const T, false>{block.rows + row * n}, n, 1, Field<T, false>{workspace}, WIDTH, int(n),
                        Field<T, false>{product}, WIDTH);
        transpose_block<T>(product, WIDTH, turned);
        for (int k = 0; k < members; ++k) store_some(forces + k * forces_stride + row, load_pack<T>(turned + k * WIDTH), count);
    }
}

// `PACKS` packs of features from f on for all members, summed in registers; the last one may hold less than eight
template <int MEMBERS, int PACKS, class T>
RHOPOT_INLINE void gather_tile(const RowBlock<T>& block, std::int64_t f, const T* forces, std::int64_t forces_stride, T* slope,
                               std::int64_t slope_stride) {
    const std::int64_t n = block.n_features, left = n - f;
    const bool whole = left >= PACKS * WIDTH;
    Pack<T> sum[MEMBERS][PACKS] = {};
    for (std::int64_t row = 0; row < block.n_rows; ++row) {
        const T* from = block.rows + row * n + f;
        for (int p = 0; p < PACKS; ++p) {
            const Pack<T> x = whole ? load_pack<T>(from + p * WIDTH) : load_some(from, left);
            for (int k = 0; k < MEMBERS; ++k) sum[k][p] += x * forces[k * forces_stride + row];
        }
    }
    for (int k = 0; k < MEMBERS; ++k) {
        for (int p = 0; p < PACKS; ++p) {
            T* to = slope + k * slope_stride + f + p * WIDTH;
            if (whole) store_pack<T>(to, sum[k][p]);
            else store_some(to, sum[k][p], left);
        }
    }
}

template <int MEMBERS, class T>
void gather_members(const RowBlock<T>& block, const T* forces, std::int64_t forces_stride, T* slope, std::int64_t slope_stride) {
    constexpr int PACKS = MEMBERS <= 4 ? 4 : 2;
    std::int64_t f = 0;
    for (; f + PACKS * WIDTH <= block.n_features; f += PACKS * WIDTH) {
        gather_tile<MEMBERS, PACKS>(block, f, forces, forces_stride, slope, slope_stride);
    }
    for (; f < block.n_features; f += WIDTH) gather_tile<MEMBERS, 1>(block, f, forces, forces_stride, slope, slope_stride);
}

template <class T>
void gather(const RowBlock<T>& block, int members, const T* forces, std::int64_t forces_stride, T* slope,
            std::int64_t slope_stride) {
    switch (members) {
        case 1: return gather_members<1>(block, forces, forces_stride, slope, slope_stride);
        case 2: return gather_members<2>(block, forces, forces_stride, slope, slope_stride);
        case 3: return gather_members<3>(block, forces, forces_stride, slope, slope_stride);
        case 4: return gather_members<4>(block, forces, forces_stride, slope, slope_stride);
        case 5: return gather_members<5>(block, forces, forces_stride, slope, slope_stride);
        case 6: return gather_members<6>(block, forces, forces_stride, slope, slope_stride);
        case 7: return gather_members<7>(block, forces, forces_stride, slope, slope_stride);
        default: return gather_members<8>(block, forces, forces_stride, slope, slope_stride);
    }
}

}  // namespace

extern const RowKernels<double> row_kernels_double{dot<double>, gather<double>};
extern const RowKernels<float> row_kernels_float{dot<float>, gather<float>};

}  // namespace rhopot::RHOPOT_VARIANT
