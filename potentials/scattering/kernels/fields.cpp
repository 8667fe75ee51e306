#include "fields.hpp"

#include <ATen/ops/_fft_c2r.h>
#include <ATen/ops/_fft_r2c.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "problem.hpp"

namespace rhopot {

#define RHOPOT_DECLARE(variant) \
    namespace variant {         \
    extern const ScatteringKernels scattering_kernels; \
    }
RHOPOT_DECLARE(baseline)
#ifdef RHOPOT_X86_VARIANTS
RHOPOT_DECLARE(v3)
RHOPOT_DECLARE(v4)
#endif

// the same choice of an instruction set as the engine's
const ScatteringKernels& scattering_kernels() {
#ifdef RHOPOT_X86_VARIANTS
    const char* name = kernels<double>().name;
    if (std::strcmp(name, "v4") == 0) return v4::scattering_kernels;
    if (std::strcmp(name, "v3") == 0) return v3::scattering_kernels;
#endif
    return baseline::scattering_kernels;
}

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

// work(place in the wavelet's grid, place in the spectrum) for every row of frequencies along the third axis, in units of
// numbers; the second is negative where the band has none
template <class Work> void over_rows(const Wavelet& wavelet, const Work& work) {
    const auto first = places(wavelet.have[0], wavelet.points[0]), second = places(wavelet.have[1], wavelet.points[1]);
    const std::int64_t want = wavelet.points[2] / 2 + 1, have = wavelet.have[2] / 2 + 1;
    for (std::int64_t i = 0; i < wavelet.points[0]; ++i) {
        for (std::int64_t j = 0; j < wavelet.points[1]; ++j) {
            const std::int64_t a = first[std::size_t(i)], b = second[std::size_t(j)];
            work((i * wavelet.points[1] + j) * want, a < 0 || b < 0 ? -1 : (a * wavelet.have[1] + b) * have);
        }
    }
}

// frequencies k >= 0 of a row that lie in both bands
std::int64_t row_length(const Wavelet& wavelet) { return (std::min(wavelet.have[2], wavelet.points[2]) - 1) / 2 + 1; }

double* numbers(const Tensor& complex) {
    return reinterpret_cast<double*>(complex.mutable_data_ptr<c10::complex<double>>());
}
const double* constant_numbers(const Tensor& complex) {
    return reinterpret_cast<const double*>(complex.const_data_ptr<c10::complex<double>>());
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

Tensor Wavelet::fields(const Tensor& spectrum) const {
    const ScatteringKernels& k = scattering_kernels();
    const Tensor product = at::empty(filter.sizes(), spectrum.options());
    const std::int64_t row = points[2] / 2 + 1, inside = row_length(*this), stride = points[0] * points[1] * row;
    const double *from = constant_numbers(spectrum), *psi = filter.const_data_ptr<double>();
    double* to = numbers(product);
    for (std::int64_t m = 0; m < n_components(); ++m, psi += stride, to += 2 * stride) {
        over_rows(*this, [&](std::int64_t place, std::int64_t source) {
            const std::int64_t known = source < 0 ? 0 : inside;
            if (known > 0) k.filter_row(from + 2 * source, psi + place, known, odd, to + 2 * place);
            std::fill(to + 2 * (place + known), to + 2 * (place + row), 0.0);
        });
    }
    return at::_fft_c2r(product, {1, 2, 3}, 0, points[2]).contiguous();
}

void Wavelet::adjoint(const Tensor& spectrum, const Tensor& by_fields, const Tensor& by_spectrum,
                      const Tensor& by_filter) const {
    const ScatteringKernels& k = scattering_kernels();
    const Tensor shaped = by_fields.view({n_components(), points[0], points[1], points[2]});
    const Tensor by_product = at::_fft_r2c(shaped, {1, 2, 3}, 0, true).contiguous();
    const std::int64_t inside = row_length(*this), stride = points[0] * points[1] * (points[2] / 2 + 1);
    const double *from = constant_numbers(spectrum), *psi = filter.const_data_ptr<double>();
    const double* slope = constant_numbers(by_product);
    double *to = numbers(by_spectrum), *by_psi = by_filter.mutable_data_ptr<double>();
    for (std::int64_t m = 0; m < n_components(); ++m, psi += stride, slope += 2 * stride, by_psi += stride) {
        over_rows(*this, [&](std::int64_t place, std::int64_t source) {
            if (source < 0) return;
            k.filter_row_adjoint(from + 2 * source, psi + place, slope + 2 * place, inside, odd, to + 2 * source,
                                 by_psi + place);
        });
    }
}

std::vector<Power> powers_of(at::ArrayRef<double> powers) {
    std::vector<Power> all;
    for (const double q : powers) {
        TORCH_CHECK_VALUE(q >= 1, "powers must be at least 1, got ", q, "; below 1 slopes diverge");
        const double thirds = std::round(3 * q);
        const bool whole = std::abs(3 * q - thirds) < 1e-12 * thirds && thirds < 64;
        all.push_back({q, whole ? std::int64_t(thirds) : 0});
    }
    return all;
}

}  // namespace rhopot
