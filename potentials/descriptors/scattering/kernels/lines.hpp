// Complex transforms of many lines at once: the lanes of a pack hold neighbouring lines, and a few packs go together.
//
//   out[r] = sum_k in[k] exp(2 pi i k r / n)
//
// The length n is a product of radices; a stage takes one of them (Stockham's order, which needs no bit reversal).
#pragma once

#include "kernels.hpp"
#include "density/kernels/simd.hpp"

namespace rhopot::RHOPOT_VARIANT {

namespace fourier {

using P = Pack<double>;
constexpr int W = WIDTH<double>;
constexpr double ONE[] = {1, 0};

struct Complex {
    P re, im;
};
RHOPOT_INLINE Complex operator+(const Complex& a, const Complex& b) { return {a.re + b.re, a.im + b.im}; }
RHOPOT_INLINE Complex operator-(const Complex& a, const Complex& b) { return {a.re - b.re, a.im - b.im}; }
RHOPOT_INLINE Complex operator*(double a, const Complex& b) { return {a * b.re, a * b.im}; }
RHOPOT_INLINE Complex times_i(const Complex& a) { return {-a.im, a.re}; }
RHOPOT_INLINE Complex turned(const Complex& a, double cosine, double sine) {
    return {a.re * cosine - a.im * sine, a.re * sine + a.im * cosine};
}

// Complex packs of a few lines side by side: number k of a line lies at k * step, the next line `next` further; with re and
// im exchanged a transform is the one of the other sign.
struct Batch {
    double *re, *im;
    std::ptrdiff_t step, next;

    RHOPOT_INLINE Batch conjugate() const { return {im, re, step, next}; }
    RHOPOT_INLINE Batch from(std::int64_t k) const { return {re + k * step, im + k * step, step, next}; }
};
RHOPOT_INLINE Complex load(const double* re, const double* im) { return {load_pack(re), load_pack(im)}; }
RHOPOT_INLINE void store(double* re, double* im, const Complex& x) {
    store_pack(re, x.re);
    store_pack(im, x.im);
}

// Batches in the first-level cache: one for the caller, two for `transform`.
struct Scratch {
    Batch own, spare[2];

    Scratch(const Lattice& g, double* memory) : own(batch(g, memory, 0)), spare{batch(g, memory, 1), batch(g, memory, 2)} {}
    static Batch batch(const Lattice& g, double* memory, int which) {
        double* start = memory + which * g.scratch;
        return {start, start + W, 2 * W * g.lines, 2 * W};
    }
};

// a[r] = sum_j a[j] exp(2 pi i j r / R)
template <int R> RHOPOT_INLINE void butterfly(Complex (&a)[R]) {
    if constexpr (R == 2) {
        const Complex first = a[0];
        a[0] = first + a[1];
        a[1] = first - a[1];
    } else if constexpr (R == 3) {
        const Complex sum = a[1] + a[2], difference = times_i(0.86602540378443864676 * (a[1] - a[2]));
        const Complex middle = a[0] - 0.5 * sum;
        a[0] = a[0] + sum;
        a[1] = middle + difference;
        a[2] = middle - difference;
    } else if constexpr (R == 4) {
        const Complex even = a[0] + a[2], odd = a[1] + a[3], rest = a[0] - a[2], turn = times_i(a[1] - a[3]);
        a[0] = even + odd;
        a[1] = rest + turn;
        a[2] = even - odd;
        a[3] = rest - turn;
    } else {
        static_assert(R == 5);
        constexpr double c1 = 0.30901699437494742410, c2 = -0.80901699437494742410;
        constexpr double s1 = 0.95105651629515357212, s2 = 0.58778525229247312917;
        const Complex outer = a[1] + a[4], inner = a[2] + a[3], first = a[1] - a[4], second = a[2] - a[3];
        const Complex m1 = a[0] + c1 * outer + c2 * inner, m2 = a[0] + c2 * outer + c1 * inner;
        const Complex d1 = times_i(s1 * first + s2 * second), d2 = times_i(s2 * first - s1 * second);
        a[0] = a[0] + outer + inner;
        a[1] = m1 + d1;
        a[4] = m1 - d1;
        a[2] = m2 + d2;
        a[3] = m2 - d2;
    }
}

// The part of a stage that starts at `in` and `out`: `count` butterflies of every line, one after the other, whose numbers lie
// `apart` and `place` from each other; results times exp(2 pi i j q stride / n), roots[j * root_step].
template <int R, bool TURN>
RHOPOT_INLINE void part(const Batch in, std::int64_t apart, const Batch out, std::int64_t place, std::int64_t count,
                        std::int64_t lines, const double* roots, std::int64_t root_step) {
    double cosine[R], sine[R];
    RHOPOT_UNROLL
    for (int j = 1; TURN && j < R; ++j) {
        cosine[j] = roots[root_step * j];
        sine[j] = roots[root_step * j + 1];
    }
    const std::ptrdiff_t d = apart * in.step, e = place * out.step;
    for (std::int64_t k = 0; k < count; ++k) {
        const double *re = in.re + k * in.step, *im = in.im + k * in.step;
        double *to_re = out.re + k * out.step, *to_im = out.im + k * out.step;
        for (std::int64_t line = 0; line < lines; ++line) {
            Complex a[R];
            RHOPOT_UNROLL
            for (int j = 0; j < R; ++j) a[j] = load(re + j * d, im + j * d);
            butterfly(a);
            RHOPOT_UNROLL
            for (int j = 0; j < R; ++j) {
                store(to_re + j * e, to_im + j * e, TURN && j > 0 ? turned(a[j], cosine[j], sine[j]) : a[j]);
            }
            re += in.next;
            im += in.next;
            to_re += out.next;
            to_im += out.next;
        }
    }
}

template <int R>
inline void stage(const Axis& axis, const Batch& in, const Batch& out, std::int64_t stride, std::int64_t lines) {
    const std::int64_t parts = axis.n / (R * stride);
    part<R, false>(in, axis.n / R, out, stride, stride, lines, axis.roots, 0);
    for (std::int64_t q = 1; q < parts; ++q) {
        part<R, true>(in.from(stride * q), axis.n / R, out.from(stride * R * q), stride, stride, lines, axis.roots,
                      2 * q * stride);
    }
}

// any radix, which must be prime to be worth it: operations grow with its square
inline void stage_of_any(const Axis& axis, const Batch& in, const Batch& out, std::int64_t stride, std::int64_t lines,
                         std::int64_t radix) {
    const std::int64_t parts = axis.n / (radix * stride), apart = axis.n / radix;
    const auto read = [&](std::int64_t k, std::int64_t line) {
        const std::ptrdiff_t at = k * in.step + line * in.next;
        return load(in.re + at, in.im + at);
    };
    for (std::int64_t k = 0; k < stride * parts * radix; ++k) {
        const std::int64_t q = k / (stride * radix), r = k / stride % radix, first = k % stride + stride * q;
        for (std::int64_t line = 0; line < lines; ++line) {
            Complex sum = read(first, line);
            for (std::int64_t j = 1; j < radix; ++j) {
                const double* root = axis.roots + 2 * (j * r % radix * apart);
                sum = sum + turned(read(first + apart * j, line), root[0], root[1]);
            }
            const double* root = axis.roots + 2 * q * r * stride;
            const std::ptrdiff_t at = k * out.step + line * out.next;
            store(out.re + at, out.im + at, turned(sum, root[0], root[1]));
        }
    }
}

inline void stage_of(const Axis& axis, const Batch& in, const Batch& out, std::int64_t stride, std::int64_t lines,
                     std::int64_t radix) {
    switch (radix) {
        case 2: return stage<2>(axis, in, out, stride, lines);
        case 3: return stage<3>(axis, in, out, stride, lines);
        case 4: return stage<4>(axis, in, out, stride, lines);
        case 5: return stage<5>(axis, in, out, stride, lines);
        default: return stage_of_any(axis, in, out, stride, lines, radix);
    }
}

// out[r] = sum_k in[k] exp(2 pi i k r / n) of every line; out may be in
inline void transform(const Axis& axis, const Batch& in, const Batch& out, std::int64_t lines, const Batch (&spare)[2]) {
    std::int64_t stride = 1;
    Batch from = in;
    for (std::int64_t f = 0; f < axis.n_factors; ++f) {
        const Batch to = f + 1 == axis.n_factors && f > 0 ? out : spare[f % 2];
        stage_of(axis, from, to, stride, lines, axis.factors[f]);
        stride *= axis.factors[f];
        from = to;
    }
    if (axis.n_factors < 2) stage_of_any({axis.n, 1, nullptr, ONE}, from, out, axis.n, lines, 1);
}

}  // namespace fourier
}  // namespace rhopot::RHOPOT_VARIANT
