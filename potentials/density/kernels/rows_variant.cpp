// Rows of a Jacobian against slopes, compiled once per instruction set like the kernels of variant.cpp, by the same rules.
// Each row is read once and its partner stays in the cache, so that memory sets the pace.
#include "problem.hpp"
#include "simd.hpp"

namespace rhopot::RHOPOT_VARIANT {
namespace {

// adds[row] = sum over lanes of x[row]
template <class T> RHOPOT_INLINE Pack<T> lane_sums(Pack<T> (&x)[WIDTH]) {
    T turned[WIDTH * WIDTH] __attribute__((aligned(64)));
    transpose_block(reinterpret_cast<const T*>(x), WIDTH, turned);
    Pack<T> total{};
    for (int lane = 0; lane < WIDTH; ++lane) total += load_pack<T>(turned + lane * WIDTH);
    return total;
}

template <class T>
void dot(const T* rows, std::int64_t n_rows, std::int64_t n_features, const T* slope, T* forces) {
    const std::int64_t whole = n_features / WIDTH * WIDTH, rest = n_features - whole;
    for (std::int64_t row = 0; row < n_rows; row += WIDTH) {
        const int count = n_rows - row < WIDTH ? int(n_rows - row) : WIDTH;
        Pack<T> sums[WIDTH] = {};
        for (int k = 0; k < count; ++k) {
            const T* from = rows + (row + k) * n_features;
            Pack<T> sum{};
            for (std::int64_t f = 0; f < whole; f += WIDTH) sum += load_pack<T>(from + f) * load_pack<T>(slope + f);
            if (rest > 0) sum += load_some(from + whole, rest) * load_some(slope + whole, rest);
            sums[k] = sum;
        }
        store_some(forces + row, lane_sums<T>(sums), count);
    }
}

template <class T>
void gather(const T* rows, std::int64_t n_rows, std::int64_t n_features, const T* forces, T* slope) {
    constexpr int TILE = 4;  // packs that are summed in registers
    std::int64_t f = 0;
    for (; f + TILE * WIDTH <= n_features; f += TILE * WIDTH) {
        Pack<T> sum[TILE] = {};
        for (std::int64_t row = 0; row < n_rows; ++row) {
            for (int k = 0; k < TILE; ++k) sum[k] += load_pack<T>(rows + row * n_features + f + k * WIDTH) * forces[row];
        }
        for (int k = 0; k < TILE; ++k) store_pack<T>(slope + f + k * WIDTH, sum[k]);
    }
    for (; f < n_features; f += WIDTH) {
        const std::int64_t count = n_features - f < WIDTH ? n_features - f : WIDTH;
        Pack<T> sum{};
        for (std::int64_t row = 0; row < n_rows; ++row) sum += load_some(rows + row * n_features + f, count) * forces[row];
        store_some(slope + f, sum, count);
    }
}

}  // namespace

extern const RowKernels<double> row_kernels_double{dot<double>, gather<double>};
extern const RowKernels<float> row_kernels_float{dot<float>, gather<float>};

}  // namespace rhopot::RHOPOT_VARIANT
