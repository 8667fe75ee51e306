// Real transforms of grids in three dimensions, filtered, and their adjoint.
//
//   points[r1, r2, r3] = sum_k F[k] S[k] exp(2 pi i (k1 r1 / n1 + k2 r2 / n2 + k3 r3 / n3)),   S[-k] = conj(S[k])
//
// The third axis is transformed two rows at a time: their spectra X1 + i X2 give the first row as the real and the second as
// the imaginary part, whatever n3 is. Half spectra lie in work memory as `Lattice` says, so that packs are read and written
// whole; products with the filter are made on the way into the cache.
#pragma once

#include "lines.hpp"

namespace rhopot::RHOPOT_VARIANT {

namespace fourier {

// where row r of a lattice's n1 * n2 rows starts; rows beyond the last stand for it
RHOPOT_INLINE std::int64_t row_place(const Lattice& g, std::int64_t r) {
    const std::int64_t last = g.axes[0].n * g.axes[1].n - 1, known = r < last ? r : last;
    return known / g.axes[1].n * g.plane + known % g.axes[1].n * g.row;
}

// `n` numbers are there
RHOPOT_INLINE P load_up_to(const double* from, std::int64_t n) { return n >= W ? load_pack(from) : load_some(from, n); }
RHOPOT_INLINE void store_up_to(double* to, const P& x, std::int64_t n) {
    if (n >= W) store_pack(to, x);
    else store_some(to, x, n);
}

// z[0 ... n] = X1 + i X2 of the half spectra of 2 W rows, X1 of the first W, number n as number 0
inline void rows_to_line(const Lattice& g, const Split& spectrum, std::int64_t first, const Batch& z) {
    const std::int64_t n = g.axes[2].n;
    std::int64_t place[2 * W];
    for (int i = 0; i < 2 * W; ++i) place[i] = row_place(g, first + i);
    for (std::int64_t k = g.band; k <= n - g.band; ++k) store(z.re + k * z.step, z.im + k * z.step, {P{}, P{}});
    for (std::int64_t c = 0; c < g.band; c += W) {
        P re[2][W], im[2][W];
        RHOPOT_UNROLL
        for (int part = 0; part < 2; ++part) {
            RHOPOT_UNROLL
            for (int i = 0; i < W; ++i) {
                re[part][i] = load_pack(spectrum.re + place[part * W + i] + c);
                im[part][i] = load_pack(spectrum.im + place[part * W + i] + c);
            }
            exchange_all<1>(re[part]);
            exchange_all<1>(im[part]);
        }
        RHOPOT_UNROLL
        for (int i = 0; i < W; ++i) {
            if (c + i >= g.band) continue;
            const std::ptrdiff_t at = (c + i) * z.step, mirror = (n - c - i) * z.step;
            store(z.re + at, z.im + at, {re[0][i] - im[1][i], im[0][i] + re[1][i]});
            store(z.re + mirror, z.im + mirror, {re[0][i] + im[1][i], re[1][i] - im[0][i]});
        }
    }
    // The sums at k3 = 0 are real: half of z[0] and z[n].
    const Complex a = load(z.re, z.im), b = load(z.re + n * z.step, z.im + n * z.step);
    store(z.re, z.im, 0.5 * (a + b));
}

// the adjoint
inline void line_to_rows(const Lattice& g, const Batch& z, std::int64_t first, const Split& spectrum) {
    const std::int64_t n = g.axes[2].n, n_rows = g.axes[0].n * g.axes[1].n;
    const Complex origin = load(z.re, z.im);
    store(z.re + n * z.step, z.im + n * z.step, origin);
    std::int64_t place[2 * W];
    for (int i = 0; i < 2 * W; ++i) place[i] = row_place(g, first + i);
    for (std::int64_t c = 0; c < g.band; c += W) {
        P re[2][W], im[2][W];
        RHOPOT_UNROLL
        for (int i = 0; i < W; ++i) {
            const std::int64_t k = c + i < g.band ? c + i : c;
            const Complex a = load(z.re + k * z.step, z.im + k * z.step);
            const Complex b = load(z.re + (n - k) * z.step, z.im + (n - k) * z.step);
            re[0][i] = 0.5 * (a.re + b.re);
            im[0][i] = 0.5 * (a.im - b.im);
            re[1][i] = 0.5 * (a.im + b.im);
            im[1][i] = 0.5 * (b.re - a.re);
        }
        RHOPOT_UNROLL
        for (int part = 0; part < 2; ++part) {
            exchange_all<1>(re[part]);
            exchange_all<1>(im[part]);
            RHOPOT_UNROLL
            for (int i = 0; i < W; ++i) {
                if (first + part * W + i >= n_rows) continue;
                store_pack(spectrum.re + place[part * W + i] + c, re[part][i]);
                store_pack(spectrum.im + place[part * W + i] + c, im[part][i]);
            }
        }
    }
}

// work(at, plane) for the packs of a line of n points, which begin at `at`, and the planes of their real and imaginary parts. The
// last numbers of a line come with the last whole pack once more.
template <class Work> RHOPOT_INLINE void over_points(std::int64_t n, const Work& work) {
    for (std::int64_t c = 0; c < n; c += W) {
        const std::int64_t at = c + W > n && n >= W ? n - W : c;
        RHOPOT_UNROLL
        for (int plane = 0; plane < 2; ++plane) work(at, plane);
    }
}

// points[n1 * n2, n3] of 2 W rows from what `transform` made of z: the first W rows are real parts
inline void line_to_points(const Lattice& g, const Batch& z, std::int64_t first, double* points) {
    const std::int64_t n = g.axes[2].n, n_rows = g.axes[0].n * g.axes[1].n;
    over_points(n, [&](std::int64_t at, int plane) {
        P row[W];
        RHOPOT_UNROLL
        for (int i = 0; i < W; ++i) row[i] = load_pack((plane == 0 ? z.re : z.im) + (at + i < n ? at + i : at) * z.step);
        exchange_all<1>(row);
        RHOPOT_UNROLL
        for (int i = 0; i < W; ++i) {
            const std::int64_t r = first + plane * W + i;
            if (r < n_rows) store_up_to(points + r * n + at, row[i], n - at);
        }
    });
}

// the adjoint
inline void points_to_line(const Lattice& g, const double* points, std::int64_t first, const Batch& z) {
    const std::int64_t n = g.axes[2].n, n_rows = g.axes[0].n * g.axes[1].n;
    over_points(n, [&](std::int64_t at, int plane) {
        P row[W];
        RHOPOT_UNROLL
        for (int i = 0; i < W; ++i) {
            const std::int64_t r = first + plane * W + i, known = r < n_rows ? r : n_rows - 1;
            row[i] = load_up_to(points + known * n + at, n - at);
        }
        exchange_all<1>(row);
        RHOPOT_UNROLL
        for (int i = 0; i < W; ++i) {
            if (at + i < n) store_pack((plane == 0 ? z.re : z.im) + (at + i) * z.step, row[i]);
        }
    });
}

// work(first, count) for all packs of a range of numbers, `lines` of them at a time
template <class Work> RHOPOT_INLINE void over_packs(std::int64_t numbers, std::int64_t lines, const Work& work) {
    const std::int64_t packs = (numbers + W - 1) / W;
    for (std::int64_t first = 0; first < packs; first += lines) {
        work(first * W, packs - first < lines ? packs - first : lines);
    }
}

// The columns of the first axis are filtered on their way into the cache.
inline void filter_columns(const Lattice& g, const Split& spectrum, const double* filter, std::int64_t readable,
                           std::int64_t column, std::int64_t number, std::int64_t lines, const Batch& to) {
    const std::int64_t next = g.axes[1].n * g.half;
    for (std::int64_t i = 0; i < g.axes[0].n; ++i, number += next, column += g.plane) {
        for (std::int64_t line = 0; line < lines; ++line) {
            const std::int64_t at = number + line * W, place = column + line * W, store_at = i * to.step + line * to.next;
            const P psi = load_up_to(filter + at, readable - at);
            const Complex known = load(spectrum.re + place, spectrum.im + place);
            store(to.re + store_at, to.im + store_at, {psi * known.re, psi * known.im});
        }
    }
}

// the adjoint: frequencies k3 > 0 stand for -k3 too
inline void filter_columns_adjoint(const Lattice& g, const Split& spectrum, const double* filter, std::int64_t readable,
                                   std::int64_t column, std::int64_t number, std::int64_t lines, const Batch& from,
                                   const Split& by_spectrum, double* by_filter) {
    const std::int64_t next = g.axes[1].n * g.half;
    const P all = P{} + 2.0;
    P begin = all;
    if (column % g.row == 0) begin[0] = 1.0;
    for (std::int64_t i = 0; i < g.axes[0].n; ++i, number += next, column += g.plane) {
        for (std::int64_t line = 0; line < lines; ++line) {
            const std::int64_t at = number + line * W, place = column + line * W, load_at = i * from.step + line * from.next;
            const P twice = line == 0 ? begin : all, psi = load_up_to(filter + at, readable - at);
            const P re = twice * load_pack(from.re + load_at), im = twice * load_pack(from.im + load_at);
            const Complex known = load(spectrum.re + place, spectrum.im + place);
            store_pack(by_spectrum.re + place, load_pack(by_spectrum.re + place) + psi * re);
            store_pack(by_spectrum.im + place, load_pack(by_spectrum.im + place) + psi * im);
            // zero beyond the row's end, where the next one begins
            const P by_psi = load_up_to(by_filter + at, readable - at) + (known.re * re + known.im * im);
            store_up_to(by_filter + at, by_psi, readable - at);
        }
    }
}

// one line of a batch
RHOPOT_INLINE Batch line_of(const Batch& batch, std::int64_t line) {
    return {batch.re + line * batch.next, batch.im + line * batch.next, batch.step, 0};
}

// points[n1 * n2, n3] of a half spectrum whose first axis has been transformed; the spectrum is written over
inline void planes_to_points(const Lattice& g, const Split& work, const Scratch& scratch, double* points) {
    const std::int64_t n1 = g.axes[0].n, n2 = g.axes[1].n;
    std::int64_t done = 0;
    const auto rows = [&](std::int64_t lines) {
        for (std::int64_t line = 0; line < lines; ++line) {
            rows_to_line(g, work, done + 2 * W * line, line_of(scratch.own, line));
        }
        transform(g.axes[2], scratch.own, scratch.own, lines, scratch.spare);
        for (std::int64_t line = 0; line < lines; ++line, done += 2 * W) {
            line_to_points(g, line_of(scratch.own, line), done, points);
        }
    };
    for (std::int64_t i = 0; i < n1; ++i) {
        over_packs(g.band, g.lines, [&](std::int64_t first, std::int64_t lines) {
            const Batch columns{work.re + i * g.plane + first, work.im + i * g.plane + first, g.row, W};
            transform(g.axes[1], columns, columns, lines, scratch.spare);
        });
        while ((i + 1) * n2 - done >= 2 * W * g.lines) rows(g.lines);
    }
    while (done < n1 * n2) rows(1);
}

// the adjoint
inline void points_to_planes(const Lattice& g, const double* points, const Scratch& scratch, const Split& work) {
    const Batch own = scratch.own, spare[2] = {scratch.spare[0].conjugate(), scratch.spare[1].conjugate()};
    const std::int64_t n1 = g.axes[0].n, n2 = g.axes[1].n;
    std::int64_t done = 0;
    const auto rows = [&](std::int64_t lines) {
        for (std::int64_t line = 0; line < lines; ++line) {
            points_to_line(g, points, done + 2 * W * line, line_of(own, line));
        }
        transform(g.axes[2], own.conjugate(), own.conjugate(), lines, spare);
        for (std::int64_t line = 0; line < lines; ++line, done += 2 * W) line_to_rows(g, line_of(own, line), done, work);
    };
    for (std::int64_t i = 0; i < n1; ++i) {
        while (done < (i + 1) * n2) rows(n1 * n2 - done >= 2 * W * g.lines ? g.lines : 1);
        over_packs(g.band, g.lines, [&](std::int64_t first, std::int64_t lines) {
            const Batch columns{work.im + i * g.plane + first, work.re + i * g.plane + first, g.row, W};
            transform(g.axes[1], columns, columns, lines, spare);
        });
    }
}

// work(place in the lattice, number in a filter's rows, lines) for the columns of the first axis
template <class Work> RHOPOT_INLINE void over_columns(const Lattice& g, const Work& work) {
    for (std::int64_t j = 0; j < g.axes[1].n; ++j) {
        over_packs(g.band, g.lines,
                   [&](std::int64_t first, std::int64_t lines) { work(j * g.row + first, j * g.half + first, lines); });
    }
}
RHOPOT_INLINE Batch columns_of(const Lattice& g, const Split& work, std::int64_t place) {
    return {work.re + place, work.im + place, g.plane, W};
}

}  // namespace fourier

// see `ScatteringKernels`
inline void spectrum_to_points(const Lattice& g, const Split& spectrum, double* memory, double* points) {
    using namespace fourier;
    const Scratch scratch(g, memory);
    over_columns(g, [&](std::int64_t place, std::int64_t, std::int64_t lines) {
        const Batch columns = columns_of(g, spectrum, place);
        transform(g.axes[0], columns, columns, lines, scratch.spare);
    });
    planes_to_points(g, spectrum, scratch, points);
}

inline void points_to_spectrum(const Lattice& g, const double* points, double* memory, const Split& spectrum) {
    using namespace fourier;
    const Scratch scratch(g, memory);
    const Batch spare[2] = {scratch.spare[0].conjugate(), scratch.spare[1].conjugate()};
    points_to_planes(g, points, scratch, spectrum);
    over_columns(g, [&](std::int64_t place, std::int64_t, std::int64_t lines) {
        const Batch columns = columns_of(g, spectrum, place).conjugate();
        transform(g.axes[0], columns, columns, lines, spare);
    });
}

inline void filtered_points(const Lattice& g, const Split& spectrum, const double* filter, std::int64_t readable,
                            const Split& work, double* memory, double* points) {
    using namespace fourier;
    const Scratch scratch(g, memory);
    over_columns(g, [&](std::int64_t place, std::int64_t number, std::int64_t lines) {
        filter_columns(g, spectrum, filter, readable, place, number, lines, scratch.own);
        transform(g.axes[0], scratch.own, columns_of(g, work, place), lines, scratch.spare);
    });
    planes_to_points(g, work, scratch, points);
}

inline void filtered_points_adjoint(const Lattice& g, const Split& spectrum, const double* filter, std::int64_t readable,
                                    const double* by_points, const Split& work, double* memory, const Split& by_spectrum,
                                    double* by_filter) {
    using namespace fourier;
    const Scratch scratch(g, memory);
    const Batch own = scratch.own, spare[2] = {scratch.spare[0].conjugate(), scratch.spare[1].conjugate()};
    points_to_planes(g, by_points, scratch, work);
    over_columns(g, [&](std::int64_t place, std::int64_t number, std::int64_t lines) {
        transform(g.axes[0], columns_of(g, work, place).conjugate(), own.conjugate(), lines, spare);
        filter_columns_adjoint(g, spectrum, filter, readable, place, number, lines, own, by_spectrum, by_filter);
    });
}

inline void split_row(const double* row, double scale, std::int64_t n, bool odd, double* re, double* im) {
    if (odd) {
        for (std::int64_t k = 0; k < n; ++k) {
            re[k] = scale * row[2 * k + 1];
            im[k] = -scale * row[2 * k];
        }
    } else {
        for (std::int64_t k = 0; k < n; ++k) {
            re[k] = scale * row[2 * k];
            im[k] = scale * row[2 * k + 1];
        }
    }
}

inline void join_row(const double* re, const double* im, double scale, std::int64_t n, bool odd, double* row) {
    if (odd) {
        for (std::int64_t k = 0; k < n; ++k) {
            row[2 * k] -= scale * im[k];
            row[2 * k + 1] += scale * re[k];
        }
    } else {
        for (std::int64_t k = 0; k < n; ++k) {
            row[2 * k] += scale * re[k];
            row[2 * k + 1] += scale * im[k];
        }
    }
}

}  // namespace rhopot::RHOPOT_VARIANT
