#include "fields.hpp"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>

#include "lattice.hpp"

namespace rhopot {

namespace {

using at::Tensor;

void check_memory(const Tensor& tensor, const char* name, at::ScalarType type) {
    TORCH_CHECK_VALUE(tensor.device().is_cpu(), name, " must be on the CPU, got ", tensor.device(),
                      "; use reference=True on other devices");
    TORCH_CHECK_TYPE(tensor.scalar_type() == type, name, " must be ", type, ", got ", tensor.scalar_type());
}

bool half_spectrum(const Tensor& tensor, const std::array<std::int64_t, 3>& points) {
    return tensor.dim() == 4 && tensor.size(1) == points[0] && tensor.size(2) == points[1] &&
           tensor.size(3) == points[2] / 2 + 1;
}

// For every index of an axis of `want` points, in FFT order: where the frequency stands among `have` points, -1 where it
// lies at or beyond the edge of either band.
std::vector<std::int64_t> places(std::int64_t have, std::int64_t want) {
    std::vector<std::int64_t> at(std::size_t(want), -1);
    const std::int64_t band = std::min(have, want);
    for (std::int64_t i = 0; i < want; ++i) {
        const std::int64_t k = i > (want - 1) / 2 ? i - want : i;
        if (2 * std::abs(k) < band) at[std::size_t(i)] = k >= 0 ? k : have + k;
    }
    return at;
}

// work(place in the lattice, place in the spectrum) for every row of frequencies along the third axis that both bands have
template <class Work> void over_rows(const Wavelet& wavelet, const Lattice& lattice, const Work& work) {
    const auto first = places(wavelet.have[0], wavelet.points[0]), second = places(wavelet.have[1], wavelet.points[1]);
    const std::int64_t have = wavelet.have[2] / 2 + 1;
    for (std::int64_t i = 0; i < wavelet.points[0]; ++i) {
        for (std::int64_t j = 0; j < wavelet.points[1]; ++j) {
            const std::int64_t a = first[std::size_t(i)], b = second[std::size_t(j)];
            if (a >= 0 && b >= 0) work(i * lattice.plane + j * lattice.row, (a * wavelet.have[1] + b) * have);
        }
    }
}

// work(place in the lattice) for every row of the half spectrum
template <class Work> void over_all_rows(const Lattice& lattice, const Work& work) {
    for (std::int64_t i = 0; i < lattice.axes[0].n; ++i) {
        for (std::int64_t j = 0; j < lattice.axes[1].n; ++j) work(i * lattice.plane + j * lattice.row);
    }
}

// frequencies k >= 0 of a row that lie in both bands
std::int64_t row_length(const Wavelet& wavelet) { return (std::min(wavelet.have[2], wavelet.points[2]) - 1) / 2 + 1; }

const double* constant_numbers(const Tensor& complex) {
    return reinterpret_cast<const double*>(complex.const_data_ptr<c10::complex<double>>());
}
double* numbers(const Tensor& complex) { return reinterpret_cast<double*>(complex.mutable_data_ptr<c10::complex<double>>()); }

// The spectrum [n1, n2, n3/2 + 1] in the layout of the wavelet's grid; zero where its band ends.
void split(const Wavelet& wavelet, const Lattice& lattice, const Tensor& spectrum, const Split& parts) {
    const ScatteringKernels& k = scattering_kernels();
    const double* from = constant_numbers(spectrum);
    const std::int64_t inside = row_length(wavelet);
    std::fill(parts.re, parts.re + lattice.size, 0.0);
    over_rows(wavelet, lattice, [&](std::int64_t place, std::int64_t source) {
        k.split_row(from + 2 * source, 1, inside, wavelet.odd, parts.re + place, parts.im + place);
    });
}

}  // namespace

void Wavelet::check(const Tensor& spectra) const {
    check_memory(filter, "filter", at::kDouble);
    check_memory(spectra, "spectrum", at::kComplexDouble);
    TORCH_CHECK_VALUE(half_spectrum(filter, points), "filter must be of shape (M, ", points[0], ", ", points[1], ", ",
                      points[2] / 2 + 1, ") for its points, got ", filter.sizes());
    TORCH_CHECK_VALUE(half_spectrum(spectra, have), "spectrum must be of shape (S, ", have[0], ", ", have[1], ", ",
                      have[2] / 2 + 1, ") for its points, got ", spectra.sizes());
}

void Wavelet::fields(const Tensor& spectrum, double* fields) const {
    const Lattice lattice = lattice_of(points, scattering_kernels().lanes);
    const Workspace work(lattice, 2);
    split(*this, lattice, spectrum, work.split(0));
    const double* psi = filter.const_data_ptr<double>();
    const std::int64_t stride = filter[0].numel();
    for (std::int64_t m = 0; m < n_components(); ++m) {
        scattering_kernels().filtered_points(lattice, work.split(0), psi + m * stride, (n_components() - m) * stride,
                                             work.split(1), work.scratch(), fields + m * n_points());
    }
}

void Wavelet::adjoint(const Tensor& spectrum, const Tensor& by_fields, const Tensor& by_spectrum,
                      const Tensor& by_filter) const {
    const ScatteringKernels& k = scattering_kernels();
    const Lattice lattice = lattice_of(points, scattering_kernels().lanes);
    const Workspace work(lattice, 3);
    const Split by_kept = work.split(2);
    split(*this, lattice, spectrum, work.split(0));
    std::fill(by_kept.re, by_kept.re + lattice.size, 0.0);
    const double *psi = filter.const_data_ptr<double>(), *derivative = by_fields.const_data_ptr<double>();
    double *by_psi = by_filter.mutable_data_ptr<double>(), *to = numbers(by_spectrum);
    const std::int64_t stride = filter[0].numel();
    for (std::int64_t m = 0; m < n_components(); ++m) {
        k.filtered_points_adjoint(lattice, work.split(0), psi + m * stride, (n_components() - m) * stride,
                                  derivative + m * n_points(), work.split(1), work.scratch(), by_kept, by_psi + m * stride);
    }
    const std::int64_t inside = row_length(*this);
    over_rows(*this, lattice, [&](std::int64_t place, std::int64_t source) {
        k.join_row(by_kept.re + place, by_kept.im + place, 1, inside, odd, to + 2 * source);
    });
}

Tensor coefficients(const Tensor& fields) {
    check_memory(fields, "fields", at::kDouble);
    TORCH_CHECK_VALUE(fields.dim() == 4 && fields.numel() > 0, "fields must be of shape (C, n1, n2, n3), got ", fields.sizes());
    const ScatteringKernels& k = scattering_kernels();
    const Tensor from = fields.contiguous();
    const std::array<std::int64_t, 3> n{from.size(1), from.size(2), from.size(3)};
    const Lattice lattice = lattice_of(n, k.lanes);
    const Workspace work(lattice, 1);
    const Tensor result = at::empty({from.size(0), n[0], n[1], lattice.half}, from.options().dtype(at::kComplexDouble));
    const double scale = 1 / double(n[0] * n[1] * n[2]);
    double* to = numbers(result);
    for (std::int64_t c = 0; c < from.size(0); ++c) {
        k.points_to_spectrum(lattice, from.const_data_ptr<double>() + c * n[0] * n[1] * n[2], work.scratch(), work.split(0));
        over_all_rows(lattice, [&](std::int64_t place) {
            const double *re = work.split(0).re + place, *im = work.split(0).im + place;
            std::fill(to, to + 2 * lattice.half, 0.0);
            k.join_row(re, im, scale, lattice.band, false, to);
            to += 2 * lattice.half;
        });
    }
    return result;
}

Tensor coefficients_adjoint(const Tensor& by_coefficients, const std::array<std::int64_t, 3>& points) {
    check_memory(by_coefficients, "by_coefficients", at::kComplexDouble);
    TORCH_CHECK_VALUE(half_spectrum(by_coefficients, points), "by_coefficients must be of shape (C, ", points[0], ", ",
                      points[1], ", ", points[2] / 2 + 1, ") for these points, got ", by_coefficients.sizes());
    const ScatteringKernels& k = scattering_kernels();
    const Lattice lattice = lattice_of(points, k.lanes);
    const Workspace work(lattice, 1);
    const Tensor incoming = by_coefficients.contiguous();
    const Tensor result = at::empty({incoming.size(0), points[0], points[1], points[2]}, incoming.options().dtype(at::kDouble));
    // The real transform counts frequencies k3 > 0 twice, a derivative by their values once.
    const double half = 0.5 / double(points[0] * points[1] * points[2]);
    const double* from = constant_numbers(incoming);
    for (std::int64_t c = 0; c < incoming.size(0); ++c) {
        over_all_rows(lattice, [&](std::int64_t place) {
            double *re = work.split(0).re + place, *im = work.split(0).im + place;
            k.split_row(from, half, lattice.band, false, re, im);
            re[0] *= 2;
            im[0] *= 2;
            std::fill(re + lattice.band, re + lattice.imaginary, 0.0);
            std::fill(im + lattice.band, im + lattice.imaginary, 0.0);
            from += 2 * lattice.half;
        });
        k.spectrum_to_points(lattice, work.split(0), work.scratch(), result[c].mutable_data_ptr<double>());
    }
    return result;
}

std::vector<Power> powers_of(at::ArrayRef<double> powers) {
    std::vector<Power> all;
    for (const double q : powers) {
        TORCH_CHECK_VALUE(q >= 1, "powers must be at least 1, got ", q, "; below 1 derivatives diverge");
        const double thirds = std::round(3 * q);
        const bool whole = std::abs(3 * q - thirds) < 1e-12 * thirds && thirds < 64;
        all.push_back({q, whole ? std::int64_t(thirds) : 0});
    }
    return all;
}

}  // namespace rhopot
