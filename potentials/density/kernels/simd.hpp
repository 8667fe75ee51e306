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

#ifndef RHOPOT_VARIANT
#define RHOPOT_VARIANT baseline
#endif
#define RHOPOT_INLINE inline __attribute__((always_inline))

namespace rhopot::RHOPOT_VARIANT {

// Bytes of a vector register. Wider packs would be split by the compiler, which does it with many needless moves.
#if defined(__AVX512F__)
constexpr int REGISTER_BYTES = 64;
#elif defined(__AVX__)
constexpr int REGISTER_BYTES = 32;
#else
constexpr int REGISTER_BYTES = 16;
#endif

// Numbers in a pack: what a register holds, at most eight, since rows are padded to multiples of eight and short rows
// (eight radial functions) would leave the rest empty.
template <class T> constexpr int WIDTH = REGISTER_BYTES / int(sizeof(T)) < 8 ? REGISTER_BYTES / int(sizeof(T)) : 8;

template <class T> struct PackOf;
template <> struct PackOf<double> { typedef double type __attribute__((vector_size(WIDTH<double> * sizeof(double)))); };
template <> struct PackOf<float> { typedef float type __attribute__((vector_size(WIDTH<float> * sizeof(float)))); };
template <class P> constexpr int LANES = int(sizeof(P) / sizeof(P{}[0]));
template <class T> using Pack = typename PackOf<std::remove_const_t<T>>::type;

// a + b * epsilon with epsilon^2 = 0; X is a Pack or one number
template <class X> struct Dual {
    X value;
    X derivative;
};

template <class X> struct is_dual : std::false_type {};
template <class X> struct is_dual<Dual<X>> : std::true_type {};
template <class X> concept Plain = !is_dual<X>::value;

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
template <class T> RHOPOT_INLINE void store_pack(T* to, const Pack<T>& x) { std::memcpy(to, &x, sizeof(x)); }

// the few numbers, less than a pack, at the end of a row, and zeros
template <class T> RHOPOT_INLINE Pack<T> load_some(const T* from, std::ptrdiff_t n) {
    Pack<T> x{};
    for (std::ptrdiff_t i = 0; i < n; ++i) x[i] = from[i];
    return x;
}
template <class T> RHOPOT_INLINE void store_some(T* to, const Pack<T>& x, std::ptrdiff_t n) {
    for (std::ptrdiff_t i = 0; i < n; ++i) to[i] = x[i];
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

template <class T, bool DUAL> RHOPOT_INLINE typename Field<T, DUAL>::Vector zero() {
    return typename Field<T, DUAL>::Vector{};
}

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
        for (int block = 0; block < LANES<P>; block += 2 * S) {
            for (int i = block; i < block + S; ++i) exchange<S>(row[i], row[i + S]);
        }
        exchange_all<2 * S>(row);
    }
}

// to[j * WIDTH + i] = from[i * stride + j] for a block of WIDTH x WIDTH numbers
template <class T> RHOPOT_INLINE void transpose_block(const T* from, std::ptrdiff_t stride, T* to) {
    Pack<T> row[WIDTH<T>];
    for (int i = 0; i < WIDTH<T>; ++i) row[i] = load_pack<T>(from + i * stride);
    exchange_all<1>(row);
    for (int i = 0; i < WIDTH<T>; ++i) store_pack(to + i * WIDTH<T>, row[i]);
}

// c[m, lanes] (+)= sum_k a[m, k] b[k, lanes] for ROWS rows held in registers
template <int ROWS, bool ADD, class A, class B, class C>
RHOPOT_INLINE void multiply_tile(A a, std::ptrdiff_t a_row, std::ptrdiff_t a_k, B b, std::ptrdiff_t b_k, int n_k, C c,
                                 std::ptrdiff_t c_row) {
    typename C::Vector sum[ROWS];
    for (int m = 0; m < ROWS; ++m) {
        if constexpr (ADD) sum[m] = c.load(m * c_row);
        else sum[m] = typename C::Vector{};
    }
    for (int k = 0; k < n_k; ++k) {
        const auto right = b.load(k * b_k);
        for (int m = 0; m < ROWS; ++m) sum[m] += a.scalar(m * a_row + k * a_k) * right;
    }
    for (int m = 0; m < ROWS; ++m) c.store(m * c_row, sum[m]);
}

// The one matrix product of the engine: expansion, its adjoint, invariants and weights all run through it.
template <bool ADD, class A, class B, class C>
RHOPOT_INLINE void multiply(int rows, A a, std::ptrdiff_t a_row, std::ptrdiff_t a_k, B b, std::ptrdiff_t b_k, int n_k, C c,
                            std::ptrdiff_t c_row) {
    for (; rows >= 8; rows -= 8, a = a.at(8 * a_row), c = c.at(8 * c_row)) {
        multiply_tile<8, ADD>(a, a_row, a_k, b, b_k, n_k, c, c_row);
    }
    switch (rows) {
        case 1: return multiply_tile<1, ADD>(a, a_row, a_k, b, b_k, n_k, c, c_row);
        case 2: return multiply_tile<2, ADD>(a, a_row, a_k, b, b_k, n_k, c, c_row);
        case 3: return multiply_tile<3, ADD>(a, a_row, a_k, b, b_k, n_k, c, c_row);
        case 4: return multiply_tile<4, ADD>(a, a_row, a_k, b, b_k, n_k, c, c_row);
        case 5: return multiply_tile<5, ADD>(a, a_row, a_k, b, b_k, n_k, c, c_row);
        case 6: return multiply_tile<6, ADD>(a, a_row, a_k, b, b_k, n_k, c, c_row);
        case 7: return multiply_tile<7, ADD>(a, a_row, a_k, b, b_k, n_k, c, c_row);
        default: return;
    }
}

}  // namespace rhopot::RHOPOT_VARIANT
