// Vectors as wide as the registers of the instruction set, and their dual (first-order Taylor) counterpart.
//
// Every kernel is one text on a "vector number" that is either Pack<T> (values) or Dual<Pack<T>> (values and the derivative
// along one direction). Running the text with duals gives the directional derivative of whatever it computes: that is how
// the second-order terms of the operators are made, so no derivative is written twice.
//
// The whole text lives in a namespace named after the instruction set it is compiled for (RHOPOT_VARIANT): the same sources
// are compiled several times with different flags, and no inline function may be shared between those copies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#ifndef RHOPOT_VARIANT
#define RHOPOT_VARIANT baseline
#endif
#define RHOPOT_INLINE inline __attribute__((always_inline))
// before a loop over packs that are to stay in registers: the compiler keeps an array in memory that a loop runs over
#define RHOPOT_UNROLL _Pragma("GCC unroll 16")

namespace rhopot::RHOPOT_VARIANT {

// Bytes of a vector register, and the number of registers. Wider packs would be split by the compiler, which does it with many
// needless moves.
#if defined(__AVX512F__)
constexpr int REGISTER_BYTES = 64, REGISTERS = 32;
#elif defined(__AVX__)
constexpr int REGISTER_BYTES = 32, REGISTERS = 16;
#elif defined(__aarch64__)
constexpr int REGISTER_BYTES = 16, REGISTERS = 32;
#else
constexpr int REGISTER_BYTES = 16, REGISTERS = 16;
#endif

// Numbers in a pack: what a register holds, at most eight, since rows are padded to multiples of eight and short rows
// (eight radial functions) would leave the rest empty.
template <class T> constexpr int WIDTH = REGISTER_BYTES / int(sizeof(T)) < 8 ? REGISTER_BYTES / int(sizeof(T)) : 8;

template <class T> struct PackOf;
template <> struct PackOf<double> {
    typedef double type __attribute__((vector_size(WIDTH<double> * sizeof(double))));
};
template <> struct PackOf<float> {
    typedef float type __attribute__((vector_size(WIDTH<float> * sizeof(float))));
};
template <class P> constexpr int LANES = int(sizeof(P) / sizeof(P{}[0]));
template <class T> using Pack = typename PackOf<std::remove_const_t<T>>::type;

// a + b * epsilon with epsilon^2 = 0; X is a Pack or one number
template <class X> struct Dual {
    X value;
    X derivative;
};

template <class X> struct is_dual : std::false_type {};
template <class X> struct is_dual<Dual<X>> : std::true_type {};
template <class X>
concept Plain = !is_dual<X>::value;

template <class X, class Y> RHOPOT_INLINE auto operator*(const Dual<X>& a, const Dual<Y>& b) {
    using Z = decltype(a.value * b.value);
    return Dual<Z>{a.value * b.value, a.derivative * b.value + a.value * b.derivative};
}
template <class X, Plain Y> RHOPOT_INLINE auto operator*(const Dual<X>& a, const Y& b) {
    using Z = decltype(a.value * b);
    return Dual<Z>{a.value * b, a.derivative * b};
}
template <Plain X, class Y> RHOPOT_INLINE auto operator*(const X& a, const Dual<Y>& b) { return b * a; }
template <class X> RHOPOT_INLINE Dual<X> operator+(const Dual<X>& a, const Dual<X>& b) {
    return {a.value + b.value, a.derivative + b.derivative};
}
template <class X> RHOPOT_INLINE Dual<X> operator-(const Dual<X>& a, const Dual<X>& b) {
    return {a.value - b.value, a.derivative - b.derivative};
}
template <class X, Plain Y> RHOPOT_INLINE Dual<X> operator+(const Dual<X>& a, const Y& b) {
    return {a.value + b, a.derivative};
}
template <class X, Plain Y> RHOPOT_INLINE Dual<X> operator-(const Dual<X>& a, const Y& b) {
    return {a.value - b, a.derivative};
}
template <class X, class Y> RHOPOT_INLINE Dual<X>& operator+=(Dual<X>& a, const Dual<Y>& b) {
    a.value += b.value;
    a.derivative += b.derivative;
    return a;
}

template <class P> RHOPOT_INLINE P square_root(const P& x) {
    P result{};
    for (int i = 0; i < LANES<P>; ++i) result[i] = sizeof(x[0]) == 8 ? __builtin_sqrt(x[i]) : __builtin_sqrtf(x[i]);
    return result;
}
template <class P> RHOPOT_INLINE Dual<P> square_root(const Dual<P>& x) {
    const P root = square_root(x.value);
    return {root, x.derivative / (root + root)};
}
template <Plain P> RHOPOT_INLINE P reciprocal(const P& x) { return 1 / x; }
template <class P> RHOPOT_INLINE Dual<P> reciprocal(const Dual<P>& x) {
    const P inverse = 1 / x.value;
    return {inverse, -inverse * inverse * x.derivative};
}

template <Plain P> RHOPOT_INLINE P values(const P& x) { return x; }
template <class P> RHOPOT_INLINE P values(const Dual<P>& x) { return x.value; }

// where(mask, x, otherwise): lanes of x whose mask is set, the constant `otherwise` elsewhere
template <class M, Plain P, class T> RHOPOT_INLINE P where(const M& mask, const P& x, T otherwise) {
    return mask ? x : P{} + otherwise;
}
template <class M, class P, class T> RHOPOT_INLINE Dual<P> where(const M& mask, const Dual<P>& x, T otherwise) {
    return {mask ? x.value : P{} + otherwise, mask ? x.derivative : P{}};
}

template <class T> RHOPOT_INLINE Pack<T> load_pack(const T* from) {
    Pack<T> x;
    std::memcpy(&x, from, sizeof(x));
    return x;
}
// Holds a pack that is used twice: the compiler would rather read it from memory twice, once for each multiply-add.
template <class P> RHOPOT_INLINE void keep_in_register(P& x) {
#if defined(__AVX512F__)
    asm("" : "+v"(x));
#elif defined(__x86_64__)
    asm("" : "+x"(x));
#else
    asm("" : "+w"(x));
#endif
}
template <class T> RHOPOT_INLINE void store_pack(T* to, const Pack<T>& x) { std::memcpy(to, &x, sizeof(x)); }

// the few numbers, less than a pack, at the end of a row, and zeros. Written by hand for AVX: a loop becomes a call of memcpy.
template <class T> RHOPOT_INLINE Pack<T> load_some(const T* from, std::ptrdiff_t n) {
#if defined(__AVX512VL__)
    if constexpr (sizeof(T) == 8) return Pack<T>(_mm512_maskz_loadu_pd(__mmask8((1 << n) - 1), from));
    else return Pack<T>(_mm256_maskz_loadu_ps(__mmask8((1 << n) - 1), from));
#elif defined(__AVX2__)
    if constexpr (sizeof(T) == 8) {
        const __m256i lane = _mm256_set_epi64x(3, 2, 1, 0);
        return Pack<T>(_mm256_maskload_pd(from, _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), lane)));
    } else {
        const __m256i lane = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
        return Pack<T>(_mm256_maskload_ps(from, _mm256_cmpgt_epi32(_mm256_set1_epi32(int(n)), lane)));
    }
#else
    Pack<T> x{};
    for (std::ptrdiff_t i = 0; i < n; ++i) x[i] = from[i];
    return x;
#endif
}
template <class T> RHOPOT_INLINE void store_some(T* to, const Pack<T>& x, std::ptrdiff_t n) {
#if defined(__AVX512VL__)
    if constexpr (sizeof(T) == 8) _mm512_mask_storeu_pd(to, __mmask8((1 << n) - 1), __m512d(x));
    else _mm256_mask_storeu_ps(to, __mmask8((1 << n) - 1), __m256(x));
#else
    for (std::ptrdiff_t i = 0; i < n; ++i) to[i] = x[i];  // masked stores of AVX2 are slow
#endif
}

// An array of numbers (value only, or value and derivative in two planes) read and written by packs or one by one.
template <class T, bool DUAL> struct Field;

template <class T> struct Field<T, false> {
    using Vector = Pack<T>;
    T* value;
    RHOPOT_INLINE Vector load(std::ptrdiff_t i) const { return load_pack<std::remove_const_t<T>>(value + i); }
    RHOPOT_INLINE std::remove_const_t<T> scalar(std::ptrdiff_t i) const { return value[i]; }
    RHOPOT_INLINE void store(std::ptrdiff_t i, const Vector& x) const { store_pack(value + i, x); }
    RHOPOT_INLINE Field at(std::ptrdiff_t i) const { return {value + i}; }
};

template <class T> struct Field<T, true> {
    using Vector = Dual<Pack<T>>;
    T* value;
    T* derivative;
    RHOPOT_INLINE Vector load(std::ptrdiff_t i) const {
        using U = std::remove_const_t<T>;
        return {load_pack<U>(value + i), load_pack<U>(derivative + i)};
    }
    RHOPOT_INLINE Dual<std::remove_const_t<T>> scalar(std::ptrdiff_t i) const { return {value[i], derivative[i]}; }
    RHOPOT_INLINE void store(std::ptrdiff_t i, const Vector& x) const {
        store_pack(value + i, x.value);
        store_pack(derivative + i, x.derivative);
    }
    RHOPOT_INLINE Field at(std::ptrdiff_t i) const { return {value + i, derivative + i}; }
};

template <class T, bool DUAL> RHOPOT_INLINE typename Field<T, DUAL>::Vector zero() { return typename Field<T, DUAL>::Vector{}; }

// sum over the lanes, by halves
template <class P> RHOPOT_INLINE auto lane_sum(P x) {
    for (int half = LANES<P> / 2; half > 0; half /= 2) {
        for (int i = 0; i < half; ++i) x[i] += x[i + half];
    }
    return x[0];
}

// hands out pieces of one block of memory; every piece holds whole packs
template <class T> struct Arena {
    T* next;
    template <bool DUAL> Field<T, DUAL> take(std::ptrdiff_t count) {
        T* start = next;
        next += count * (DUAL ? 2 : 1);
        if constexpr (DUAL) return {start, start + count};
        else return {start};
    }
};

// n rounded up to whole packs
template <class T> RHOPOT_INLINE constexpr std::ptrdiff_t padded(std::ptrdiff_t n) {
    return (n + WIDTH<T> - 1) / WIDTH<T> * WIDTH<T>;
}

// exchanges the blocks of S x S numbers beside the diagonal of rows a and b that lie S apart
template <int S, class P> RHOPOT_INLINE void exchange(P& a, P& b) {
    const P first = a, second = b;
    if constexpr (LANES<P> == 2) {
        a = __builtin_shufflevector(first, second, 0, 2);
        b = __builtin_shufflevector(first, second, 1, 3);
    } else if constexpr (LANES<P> == 4 && S == 1) {
        a = __builtin_shufflevector(first, second, 0, 4, 2, 6);
        b = __builtin_shufflevector(first, second, 1, 5, 3, 7);
    } else if constexpr (LANES<P> == 4) {
        a = __builtin_shufflevector(first, second, 0, 1, 4, 5);
        b = __builtin_shufflevector(first, second, 2, 3, 6, 7);
    } else if constexpr (S == 1) {
        a = __builtin_shufflevector(first, second, 0, 8, 2, 10, 4, 12, 6, 14);
        b = __builtin_shufflevector(first, second, 1, 9, 3, 11, 5, 13, 7, 15);
    } else if constexpr (S == 2) {
        a = __builtin_shufflevector(first, second, 0, 1, 8, 9, 4, 5, 12, 13);
        b = __builtin_shufflevector(first, second, 2, 3, 10, 11, 6, 7, 14, 15);
    } else {
        a = __builtin_shufflevector(first, second, 0, 1, 2, 3, 8, 9, 10, 11);
        b = __builtin_shufflevector(first, second, 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

template <int S, class P> RHOPOT_INLINE void exchange_all(P* row) {
    if constexpr (S < LANES<P>) {
        RHOPOT_UNROLL
        for (int block = 0; block < LANES<P>; block += 2 * S) {
            RHOPOT_UNROLL
            for (int i = 0; i < S; ++i) exchange<S>(row[block + i], row[block + i + S]);
        }
        exchange_all<2 * S>(row);
    }
}

// to[j * WIDTH + i] = from[i * stride + j] for a block of WIDTH x WIDTH numbers
template <class T> RHOPOT_INLINE void transpose_block(const T* from, std::ptrdiff_t stride, T* to) {
    Pack<T> row[WIDTH<T>];
    RHOPOT_UNROLL
    for (int i = 0; i < WIDTH<T>; ++i) row[i] = load_pack<T>(from + i * stride);
    exchange_all<1>(row);
    RHOPOT_UNROLL
    for (int i = 0; i < WIDTH<T>; ++i) store_pack(to + i * WIDTH<T>, row[i]);
}

// sum_k a[k, lanes] b[k, lanes], in four sums that do not wait for each other
template <class T, class A, class B> RHOPOT_INLINE auto dot_by_lanes(A a, B b, int n) {
    typename A::Vector sum[4]{};
    int k = 0;
    for (; k + 4 <= n; k += 4) {
        RHOPOT_UNROLL
        for (int j = 0; j < 4; ++j) sum[j] += a.load(WIDTH<T> * (k + j)) * b.load(WIDTH<T> * (k + j));
    }
    for (; k < n; ++k) sum[0] += a.load(WIDTH<T> * k) * b.load(WIDTH<T> * k);
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

// Further arrays of the same shape, to go on summing over, so many numbers behind each other.
struct Parts {
    int count = 1;
    std::ptrdiff_t a = 0, b = 0;
};

// c[m, lanes] (+)= sum_k a[m, k] b[k, lanes] for ROWS rows held in registers, and for COLUMNS arrays b and c side by side, which
// share what is read of a. The sum over k goes on over the further parts of a and b.
template <int ROWS, bool ADD, int COLUMNS, class A, class B, class C>
RHOPOT_INLINE void multiply_tile(A a, std::ptrdiff_t a_row, std::ptrdiff_t a_k, const B (&b)[COLUMNS], std::ptrdiff_t b_k,
                                 int n_k, const C (&c)[COLUMNS], std::ptrdiff_t c_row, const Parts& parts) {
    typename C::Vector sum[ROWS][COLUMNS];
    RHOPOT_UNROLL
    for (int m = 0; m < ROWS; ++m) {
        RHOPOT_UNROLL
        for (int j = 0; j < COLUMNS; ++j) {
            if constexpr (ADD) sum[m][j] = c[j].load(m * c_row);
            else sum[m][j] = typename C::Vector{};
        }
    }
    for (int part = 0; part < parts.count; ++part) {
        for (int k = 0; k < n_k; ++k) {
            typename B::Vector right[COLUMNS];
            RHOPOT_UNROLL
            for (int j = 0; j < COLUMNS; ++j) right[j] = b[j].load(k * b_k + part * parts.b);
            RHOPOT_UNROLL
            for (int m = 0; m < ROWS; ++m) {
                const auto left = a.scalar(m * a_row + k * a_k + part * parts.a);
                RHOPOT_UNROLL
                for (int j = 0; j < COLUMNS; ++j) sum[m][j] += left * right[j];
            }
        }
    }
    RHOPOT_UNROLL
    for (int m = 0; m < ROWS; ++m) {
        RHOPOT_UNROLL
        for (int j = 0; j < COLUMNS; ++j) c[j].store(m * c_row, sum[m][j]);
    }
}

// rows that multiply_tile can hold: the sums, one pack of each column and one number of a must fit into the registers
template <class Vector, int COLUMNS> constexpr int TILE_ROWS = [] {
    const int fitting = (REGISTERS - 4) / (COLUMNS * (is_dual<Vector>::value ? 2 : 1));
    return fitting < 8 ? fitting : 8;
}();

// the last rows, less than a whole tile
template <int ROWS, bool ADD, int COLUMNS, class A, class B, class C>
RHOPOT_INLINE void multiply_rest(int rows, A a, std::ptrdiff_t a_row, std::ptrdiff_t a_k, const B (&b)[COLUMNS],
                                 std::ptrdiff_t b_k, int n_k, const C (&c)[COLUMNS], std::ptrdiff_t c_row, const Parts& parts) {
    if constexpr (ROWS > 0) {
        if (rows == ROWS) multiply_tile<ROWS, ADD>(a, a_row, a_k, b, b_k, n_k, c, c_row, parts);
        else multiply_rest<ROWS - 1, ADD>(rows, a, a_row, a_k, b, b_k, n_k, c, c_row, parts);
    }
}

// The one matrix product of the engine: expansion, its adjoint, invariants and weights all run through it.
template <bool ADD, int COLUMNS, class A, class B, class C>
RHOPOT_INLINE void multiply(int rows, A a, std::ptrdiff_t a_row, std::ptrdiff_t a_k, const B (&b)[COLUMNS], std::ptrdiff_t b_k,
                            int n_k, const C (&c)[COLUMNS], std::ptrdiff_t c_row, const Parts& parts = {}) {
    constexpr int TILE = TILE_ROWS<typename C::Vector, COLUMNS>;
    std::ptrdiff_t done = 0;
    for (; rows >= TILE; rows -= TILE, done += TILE) {
        C to[COLUMNS];
        for (int j = 0; j < COLUMNS; ++j) to[j] = c[j].at(done * c_row);
        multiply_tile<TILE, ADD>(a.at(done * a_row), a_row, a_k, b, b_k, n_k, to, c_row, parts);
    }
    C to[COLUMNS];
    for (int j = 0; j < COLUMNS; ++j) to[j] = c[j].at(done * c_row);
    multiply_rest<TILE - 1, ADD>(rows, a.at(done * a_row), a_row, a_k, b, b_k, n_k, to, c_row, parts);
}
template <bool ADD, class A, class B, class C>
RHOPOT_INLINE void multiply(int rows, A a, std::ptrdiff_t a_row, std::ptrdiff_t a_k, const B& b, std::ptrdiff_t b_k, int n_k,
                            const C& c, std::ptrdiff_t c_row, const Parts& parts = {}) {
    const B right[1] = {b};
    const C to[1] = {c};
    multiply<ADD>(rows, a, a_row, a_k, right, b_k, n_k, to, c_row, parts);
}

// The same for `count` columns of b and c: by two packs, which share what is read of a, and one.
template <bool ADD, class T, class A, class B, class C>
RHOPOT_INLINE void multiply_wide(int rows, A a, std::ptrdiff_t a_row, std::ptrdiff_t a_k, B b, std::ptrdiff_t b_k, int n_k, C c,
                                 std::ptrdiff_t c_row, std::ptrdiff_t count, const Parts& parts = {}) {
    std::ptrdiff_t q = 0;
    for (; q + WIDTH<T> < count; q += 2 * WIDTH<T>) {
        const B right[2] = {b.at(q), b.at(q + WIDTH<T>)};
        const C to[2] = {c.at(q), c.at(q + WIDTH<T>)};
        multiply<ADD>(rows, a, a_row, a_k, right, b_k, n_k, to, c_row, parts);
    }
    if (q < count) multiply<ADD>(rows, a, a_row, a_k, b.at(q), b_k, n_k, c.at(q), c_row, parts);
}

}  // namespace rhopot::RHOPOT_VARIANT
