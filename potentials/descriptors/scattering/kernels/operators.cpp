// The operators of wavelet scattering: schemas, CPU kernels and autograd in C++, so that gradients are the same with and
// without Python. Arguments and equations: rhopot.potentials.descriptors.scattering.modulus. Differentiable once.
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>
#include <torch/library.h>

#include "density/kernels/autograd.hpp"
#include "fields.hpp"

namespace rhopot {
namespace {

void refuse_second(const char* name) {
    TORCH_CHECK_NOT_IMPLEMENTED(!at::GradMode::is_enabled(), name, " has no second derivative; use reference=True for it");
}

std::array<std::int64_t, 3> three(at::IntArrayRef points, const char* name) {
    TORCH_CHECK_VALUE(points.size() == 3 && points[0] > 0 && points[1] > 0 && points[2] > 0, name,
                      " must be three positive numbers of grid points, got ", points);
    return {points[0], points[1], points[2]};
}

void check_floor(const Tensor& floor, std::int64_t n) {
    TORCH_CHECK_VALUE(floor.device().is_cpu() && floor.scalar_type() == at::kDouble && floor.dim() == 1 && floor.size(0) == n,
                      "floor must be ", n, " float64 numbers on the CPU, got ", floor.sizes(), " of ", floor.scalar_type());
}

void save(AutogradContext* ctx, const Wavelet& wavelet) {
    ctx->saved_data["have"] = std::vector<std::int64_t>(wavelet.have.begin(), wavelet.have.end());
    ctx->saved_data["points"] = std::vector<std::int64_t>(wavelet.points.begin(), wavelet.points.end());
    ctx->saved_data["odd"] = wavelet.odd;
}
Wavelet restore(AutogradContext* ctx, const Tensor& filter) {
    auto& data = ctx->saved_data;
    return {filter, three(data["have"].toIntVector(), "have"), three(data["points"].toIntVector(), "points"),
            data["odd"].toBool()};
}

// --- filters ---

struct FilterValues : torch::autograd::Function<FilterValues> {
    static Tensor forward(AutogradContext* ctx, const Tensor&, const Filters& filters) {
        at::AutoDispatchBelowADInplaceOrView guard;
        ctx->save_for_backward({filters.dual});
        ctx->saved_data["points"] = std::vector<std::int64_t>(filters.points.begin(), filters.points.end());
        ctx->saved_data["beta"] = filters.shape.beta;
        ctx->saved_data["order"] = std::int64_t(filters.shape.order);
        ctx->saved_data["degree"] = std::int64_t(filters.shape.degree);
        return filters.values();
    }
    static variable_list backward(AutogradContext* ctx, const variable_list& incoming) {
        refuse_second("wavelet_filters_v1");
        auto& data = ctx->saved_data;
        const Filters filters = filters_of(ctx->get_saved_variables()[0], three(data["points"].toIntVector(), "points"),
                                           data["beta"].toDouble(), data["order"].toInt(), data["degree"].toInt());
        return {filters.adjoint(incoming[0]), Tensor()};
    }
};

Tensor wavelet_filters_plain(const Tensor& dual, at::IntArrayRef points, double beta, std::int64_t order, std::int64_t degree) {
    return filters_of(dual, three(points, "points"), beta, order, degree).values();
}
Tensor wavelet_filters_autograd(const Tensor& dual, at::IntArrayRef points, double beta, std::int64_t order,
                                std::int64_t degree) {
    return FilterValues::apply(dual, filters_of(dual, three(points, "points"), beta, order, degree));
}

// --- Fourier coefficients of moduli ---

struct Coefficients : torch::autograd::Function<Coefficients> {
    static Tensor forward(AutogradContext* ctx, const Tensor& fields) {
        at::AutoDispatchBelowADInplaceOrView guard;
        ctx->saved_data["points"] = fields.sizes().slice(1).vec();
        return coefficients(fields);
    }
    static variable_list backward(AutogradContext* ctx, const variable_list& incoming) {
        refuse_second("field_coefficients_v1");
        return {coefficients_adjoint(incoming[0], three(ctx->saved_data["points"].toIntVector(), "points"))};
    }
};

Tensor field_coefficients_plain(const Tensor& fields) { return coefficients(fields); }
Tensor field_coefficients_autograd(const Tensor& fields) {
    if (wants_gradient(fields)) return Coefficients::apply(fields);
    at::AutoDispatchBelowADInplaceOrView guard;
    return coefficients(fields);
}
Tensor field_coefficients_adjoint(const Tensor& by_coefficients, at::IntArrayRef points) {
    return coefficients_adjoint(by_coefficients, three(points, "points"));
}

// --- integrals of powers of a modulus ---

Tensor sums_of(const Tensor& modulus, const std::vector<Power>& powers) {
    const std::int64_t n_rows = modulus.size(0), n_powers = std::int64_t(powers.size());
    const Tensor sums = at::empty({n_rows, n_powers}, modulus.options());
    const std::int64_t n_points = n_rows > 0 ? modulus.numel() / n_rows : 0;
    for (std::int64_t c = 0; c < n_rows; ++c) {
        scattering_kernels().power_sums(modulus.const_data_ptr<double>() + c * n_points, n_points, powers.data(), n_powers,
                                        sums.mutable_data_ptr<double>() + c * n_powers);
    }
    return sums;
}

struct PowerSums : torch::autograd::Function<PowerSums> {
    static Tensor forward(AutogradContext* ctx, const Tensor& modulus, const std::vector<double>& powers) {
        at::AutoDispatchBelowADInplaceOrView guard;
        ctx->save_for_backward({modulus});
        ctx->saved_data["powers"] = powers;
        return sums_of(modulus, powers_of(powers));
    }
    static variable_list backward(AutogradContext* ctx, const variable_list& incoming) {
        refuse_second("power_sums_v1");
        const Tensor modulus = ctx->get_saved_variables()[0], weights = incoming[0].contiguous();
        const auto powers = powers_of(ctx->saved_data["powers"].toDoubleVector());
        const Tensor derivative = at::empty_like(modulus);
        const std::int64_t n_rows = modulus.size(0), n_points = n_rows > 0 ? modulus.numel() / n_rows : 0;
        for (std::int64_t c = 0; c < n_rows; ++c) {
            scattering_kernels().power_derivatives(
                modulus.const_data_ptr<double>() + c * n_points, n_points, powers.data(), std::int64_t(powers.size()),
                weights.const_data_ptr<double>() + c * weights.size(1), derivative.mutable_data_ptr<double>() + c * n_points);
        }
        return {derivative, Tensor()};
    }
};

Tensor power_sums_plain(const Tensor& modulus, at::ArrayRef<double> powers) {
    TORCH_CHECK_VALUE(modulus.device().is_cpu() && modulus.scalar_type() == at::kDouble && modulus.dim() >= 1,
                      "modulus must be float64 of shape (C, ...) on the CPU, got ", modulus.sizes(), " of ",
                      modulus.scalar_type());
    return sums_of(modulus.contiguous(), powers_of(powers));
}
Tensor power_sums_autograd(const Tensor& modulus, at::ArrayRef<double> powers) {
    if (!wants_gradient(modulus)) {
        at::AutoDispatchBelowADInplaceOrView guard;
        return power_sums_plain(modulus, powers);
    }
    return PowerSums::apply(modulus.contiguous(), powers.vec());
}

// --- modulus of mixtures of fields ---

// the fields [S, M, V] of all spectra
Tensor all_fields(const Wavelet& wavelet, const Tensor& spectra) {
    const Tensor fields = at::empty({spectra.size(0), wavelet.n_components(), wavelet.n_points()}, wavelet.filter.options());
    for (std::int64_t s = 0; s < spectra.size(0); ++s) {
        wavelet.fields(spectra[s], fields[s].mutable_data_ptr<double>());
    }
    return fields;
}

// one row of `weights` [C, S] on the fields [S, M, V]
Mixture mixture_of(const Tensor& fields, const Tensor& weights, std::int64_t c) {
    return {fields.const_data_ptr<double>(), weights.const_data_ptr<double>() + c * weights.size(1), fields.size(0),
            fields.size(1), fields.size(2)};
}

Tensor modulus_of(const Wavelet& wavelet, const Tensor& fields, const Tensor& weights, const Tensor& floor) {
    const auto& p = wavelet.points;
    const Tensor sigma = at::empty({weights.size(0), p[0], p[1], p[2]}, fields.options());
    for (std::int64_t c = 0; c < weights.size(0); ++c) {
        scattering_kernels().modulus(mixture_of(fields, weights, c), floor.const_data_ptr<double>()[c],
                                     sigma.mutable_data_ptr<double>() + c * wavelet.n_points());
    }
    return sigma;
}

struct Modulus : torch::autograd::Function<Modulus> {
    static Tensor forward(AutogradContext* ctx, const Tensor& spectra, const Tensor& filter, const Wavelet& wavelet,
                          const Tensor& weights, const Tensor& floor) {
        at::AutoDispatchBelowADInplaceOrView guard;
        const Tensor fields = all_fields(wavelet, spectra);
        ctx->save_for_backward({spectra, filter, weights, floor, fields});
        save(ctx, wavelet);
        return modulus_of(wavelet, fields, weights, floor);
    }
    static variable_list backward(AutogradContext* ctx, const variable_list& incoming) {
        refuse_second("wavelet_modulus_v1");
        const auto saved = ctx->get_saved_variables();
        const Tensor &spectra = saved[0], &weights = saved[2], &fields = saved[4], derivative = incoming[0].contiguous();
        const Wavelet wavelet = restore(ctx, saved[1]);
        const Tensor by_fields = at::zeros_like(fields);
        for (std::int64_t c = 0; c < weights.size(0); ++c) {
            scattering_kernels().modulus_adjoint(mixture_of(fields, weights, c), saved[3].const_data_ptr<double>()[c],
                                                 derivative.const_data_ptr<double>() + c * wavelet.n_points(),
                                                 by_fields.mutable_data_ptr<double>());
        }
        const Tensor by_spectra = at::zeros_like(spectra), by_filter = at::zeros_like(wavelet.filter);
        for (std::int64_t s = 0; s < spectra.size(0); ++s) {
            wavelet.adjoint(spectra[s], by_fields[s], by_spectra[s], by_filter);
        }
        return {by_spectra, by_filter, Tensor(), Tensor(), Tensor()};
    }
};

struct ModulusArguments {
    Tensor spectra, weights, floor;
    Wavelet wavelet;

    ModulusArguments(const Tensor& spectrum, at::IntArrayRef have, const Tensor& filter, at::IntArrayRef points, bool odd,
                     const Tensor& mixing, const Tensor& rounding)
        : spectra(spectrum.contiguous()),
          weights(mixing.contiguous()),
          floor(rounding.contiguous()),
          wavelet{filter.contiguous(), three(have, "have"), three(points, "points"), odd} {
        wavelet.check(spectra);
        TORCH_CHECK_VALUE(weights.dim() == 2 && weights.size(1) == spectra.size(0) && weights.scalar_type() == at::kDouble,
                          "weights must be float64 of shape (C, ", spectra.size(0), ") for these spectra, got ",
                          weights.sizes(), " of ", weights.scalar_type());
        check_floor(floor, weights.size(0));
    }
};

#define RHOPOT_MODULUS_PARAMETERS                                                                         \
    const Tensor &spectrum, at::IntArrayRef have, const Tensor &filter, at::IntArrayRef points, bool odd, \
        const Tensor &weights, const Tensor &floor
#define RHOPOT_MODULUS_VALUES spectrum, have, filter, points, odd, weights, floor

Tensor wavelet_modulus_plain(RHOPOT_MODULUS_PARAMETERS) {
    const ModulusArguments a(RHOPOT_MODULUS_VALUES);
    return modulus_of(a.wavelet, all_fields(a.wavelet, a.spectra), a.weights, a.floor);
}
Tensor wavelet_modulus_autograd(RHOPOT_MODULUS_PARAMETERS) {
    if (!wants_gradient(spectrum) && !wants_gradient(filter)) {
        at::AutoDispatchBelowADInplaceOrView guard;
        return wavelet_modulus_plain(RHOPOT_MODULUS_VALUES);
    }
    const ModulusArguments a(RHOPOT_MODULUS_VALUES);
    return Modulus::apply(a.spectra, a.wavelet.filter, a.wavelet, a.weights, a.floor);
}

// --- integrals of powers of moduli that nothing else reads ---

const double ONE = 1;
Mixture alone(const Tensor& fields) { return {fields.const_data_ptr<double>(), &ONE, 1, fields.size(0), fields[0].numel()}; }

struct FieldSums : torch::autograd::Function<FieldSums> {
    static Tensor forward(AutogradContext* ctx, const Tensor& spectra, const Tensor& filter, const Wavelet& wavelet,
                          const std::vector<std::int64_t>& rows, const Tensor& floor, const std::vector<double>& powers,
                          bool keep) {
        at::AutoDispatchBelowADInplaceOrView guard;
        const auto raised = powers_of(powers);
        const Tensor sums = at::empty({std::int64_t(rows.size()), std::int64_t(raised.size())}, filter.options());
        variable_list saved{spectra, filter, floor};
        Tensor fields;
        for (std::size_t r = 0; r < rows.size(); ++r) {
            // what no gradient reads is written over
            if (keep || r == 0) fields = at::empty({wavelet.n_components(), wavelet.n_points()}, filter.options());
            wavelet.fields(spectra[rows[r]], fields.mutable_data_ptr<double>());
            scattering_kernels().field_sums(alone(fields), floor.const_data_ptr<double>()[r], raised.data(),
                                            std::int64_t(raised.size()), sums.mutable_data_ptr<double>() + r * raised.size());
            if (keep) saved.push_back(fields);
        }
        if (keep) {
            ctx->save_for_backward(saved);
            ctx->saved_data["rows"] = rows;
            ctx->saved_data["powers"] = powers;
            save(ctx, wavelet);
        }
        return sums;
    }
    static variable_list backward(AutogradContext* ctx, const variable_list& incoming) {
        refuse_second("wavelet_power_sums_v1");
        const auto saved = ctx->get_saved_variables();
        const Tensor &spectra = saved[0], weights = incoming[0].contiguous();
        const Wavelet wavelet = restore(ctx, saved[1]);
        const auto rows = ctx->saved_data["rows"].toIntVector();
        const auto raised = powers_of(ctx->saved_data["powers"].toDoubleVector());
        const Tensor by_spectra = at::zeros_like(spectra), by_filter = at::zeros_like(wavelet.filter);
        for (std::size_t r = 0; r < rows.size(); ++r) {
            const Tensor &fields = saved[3 + r], by_fields = at::empty_like(fields);
            scattering_kernels().field_derivatives(
                alone(fields), saved[2].const_data_ptr<double>()[r], raised.data(), std::int64_t(raised.size()),
                weights.const_data_ptr<double>() + r * raised.size(), by_fields.mutable_data_ptr<double>());
            wavelet.adjoint(spectra[rows[r]], by_fields, by_spectra[rows[r]], by_filter);
        }
        return {by_spectra, by_filter, Tensor(), Tensor(), Tensor(), Tensor(), Tensor()};
    }
};

#define RHOPOT_SUMS_PARAMETERS                                                                            \
    const Tensor &spectrum, at::IntArrayRef have, const Tensor &filter, at::IntArrayRef points, bool odd, \
        at::IntArrayRef rows, const Tensor &floor, at::ArrayRef<double> powers

Tensor wavelet_power_sums_with(RHOPOT_SUMS_PARAMETERS, bool keep) {
    const Wavelet wavelet{filter.contiguous(), three(have, "have"), three(points, "points"), odd};
    const Tensor spectra = spectrum.contiguous();
    wavelet.check(spectra);
    check_floor(floor, std::int64_t(rows.size()));
    for (const std::int64_t row : rows) {
        TORCH_CHECK_INDEX(row >= 0 && row < spectra.size(0), "rows must be from 0 to ", spectra.size(0) - 1, ", got ", row);
    }
    return FieldSums::apply(spectra, wavelet.filter, wavelet, rows.vec(), floor.contiguous(), powers.vec(), keep);
}
Tensor wavelet_power_sums_plain(RHOPOT_SUMS_PARAMETERS) {
    return wavelet_power_sums_with(spectrum, have, filter, points, odd, rows, floor, powers, false);
}
Tensor wavelet_power_sums_autograd(RHOPOT_SUMS_PARAMETERS) {
    const bool keep = wants_gradient(spectrum) || wants_gradient(filter);
    return wavelet_power_sums_with(spectrum, have, filter, points, odd, rows, floor, powers, keep);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rhopot, m) {
    m.def("wavelet_filters_v1(Tensor dual, int[] points, float beta, int order, int degree) -> Tensor");
    m.def("field_coefficients_v1(Tensor fields) -> Tensor");
    m.def("field_coefficients_adjoint_v1(Tensor by_coefficients, int[] points) -> Tensor");
    m.def("power_sums_v1(Tensor modulus, float[] powers) -> Tensor");
    m.def(
        "wavelet_modulus_v1(Tensor spectrum, int[] have, Tensor filter, int[] points, bool odd, Tensor weights, "
        "Tensor floor) -> Tensor");
    m.def(
        "wavelet_power_sums_v1(Tensor spectrum, int[] have, Tensor filter, int[] points, bool odd, int[] rows, "
        "Tensor floor, float[] powers) -> Tensor");
}

TORCH_LIBRARY_IMPL(rhopot, CPU, m) {
    m.impl("wavelet_filters_v1", wavelet_filters_plain);
    m.impl("field_coefficients_v1", field_coefficients_plain);
    m.impl("field_coefficients_adjoint_v1", field_coefficients_adjoint);
    m.impl("power_sums_v1", power_sums_plain);
    m.impl("wavelet_modulus_v1", wavelet_modulus_plain);
    m.impl("wavelet_power_sums_v1", wavelet_power_sums_plain);
}

TORCH_LIBRARY_IMPL(rhopot, AutogradCPU, m) {
    m.impl("wavelet_filters_v1", wavelet_filters_autograd);
    m.impl("field_coefficients_v1", field_coefficients_autograd);
    m.impl("power_sums_v1", power_sums_autograd);
    m.impl("wavelet_modulus_v1", wavelet_modulus_autograd);
    m.impl("wavelet_power_sums_v1", wavelet_power_sums_autograd);
}

}  // namespace rhopot
