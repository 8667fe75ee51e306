// The operators in a process without Python: first derivatives against finite differences of the values, second ones
// against finite differences of the first, Jacobians against first derivatives, float32 against float64, and the sentence of a
// refusal. Prints one line per check; exits 1 on a failure.
#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <dlfcn.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <cstdio>
#include <functional>
#include <string>

using at::Tensor;
using Function = std::function<Tensor(const Tensor&)>;

namespace {

int failures = 0;

void report(const std::string& what, double error, double limit) {
    const bool good = error <= limit;  // false for NaN
    std::printf("%s %s: %.2e (limit %.0e)\n", good ? "ok  " : "FAIL", what.c_str(), error, limit);
    if (!good) ++failures;
}

Tensor gradient(const Function& scalar, const Tensor& at, bool graph = false) {
    const Tensor leaf = graph ? at : at.detach().clone().requires_grad_();
    return torch::autograd::grad({scalar(leaf)}, {leaf}, {}, graph, graph)[0];
}

// largest error of the gradient of `scalar` against central differences, relative to its largest component
double difference_error(const Function& scalar, const Tensor& at, const Tensor& found) {
    const double h = 1e-4;
    double worst = 0, largest = 0;
    for (std::int64_t i = 0; i < at.numel(); ++i) {
        double side[2];
        for (int s = 0; s < 2; ++s) {
            Tensor moved = at.detach().clone();
            moved.view(-1)[i] += s == 0 ? h : -h;
            side[s] = scalar(moved).item<double>();
        }
        const double numeric = (side[0] - side[1]) / (2 * h), exact = found.reshape(-1)[i].item<double>();
        worst = std::max(worst, std::abs(numeric - exact));
        largest = std::max(largest, std::abs(exact));
        if (!(std::abs(numeric - exact) < 1e300)) return NAN;
    }
    return worst / largest;
}

Tensor call(const char* name, std::vector<c10::IValue> stack) {
    c10::Dispatcher::singleton().findSchemaOrThrow(name, "").callBoxed(&stack);
    return stack.front().toTensor();
}

struct Graph {
    Tensor first_edge = at::tensor({0, 9, 9, 14}, at::kLong);
    Tensor neighbour = at::randint(0, 5, {14}, at::kLong);
    Tensor centre = at::tensor({4, 0, 2}, at::kLong);
    Tensor species = at::tensor({0, 1, 1, 0, 1}, at::kLong);
    Tensor channel = at::tensor({1, 0}, at::kLong);
    Tensor radial = smooth_table(2, 40, 3, 2);
    std::int64_t n_channels = 2;

    // R(r) = a r^l exp(-k r^2) (1 - r/rc)^3 with its two derivatives by autograd
    static Tensor smooth_table(std::int64_t species, std::int64_t knots, std::int64_t l_max, std::int64_t n_radial) {
        Tensor r = at::linspace(0, 4, knots, at::kDouble).requires_grad_();
        Tensor table = at::zeros({species, knots, 3, l_max + 1, n_radial}, at::kDouble);
        for (std::int64_t i = 0; i < species * (l_max + 1) * n_radial; ++i) {
            const std::int64_t a = i / ((l_max + 1) * n_radial), l = i / n_radial % (l_max + 1), q = i % n_radial;
            const Tensor value = r.pow(l) * (r * r * (-0.1 - 0.07 * double(i))).exp() * (1 - r / 4).pow(3);
            const Tensor derivative = torch::autograd::grad({value.sum()}, {r}, {}, true, true)[0];
            const Tensor curvature = torch::autograd::grad({derivative.sum()}, {r})[0];
            table[a].select(2, l).select(2, q).copy_(at::stack({value, derivative, curvature}, 1).detach());
        }
        return table;
    }

    // all results of an operator on this graph, in the dtype of the vectors
    std::vector<c10::IValue> results(const std::string& name, const Tensor& vectors,
                                     const std::vector<c10::IValue>& more) const {
        const auto op = c10::Dispatcher::singleton().findSchemaOrThrow(name.c_str(), "");
        std::vector<c10::IValue> stack{vectors, first_edge, neighbour, centre, species};
        if (name.find("symmetry") == std::string::npos) {
            const Tensor table = radial.to(vectors.scalar_type());
            stack.insert(stack.end(), {table, 4.0, channel, n_channels, 0.8});
        }
        for (const c10::IValue& value : more) {
            const bool floats = value.isTensor() && value.toTensor().is_floating_point();
            stack.push_back(floats ? c10::IValue(value.toTensor().to(vectors.scalar_type())) : value);
        }
        op.callBoxed(&stack);
        return stack;
    }
    Tensor call(const std::string& name, const Tensor& vectors, const std::vector<c10::IValue>& more = {}) const {
        return results(name, vectors, more).front().toTensor();
    }
};

void check_derivatives(const std::string& name, const Function& energy, const Tensor& vectors, const Tensor& direction) {
    report(name + ", first derivative", difference_error(energy, vectors, gradient(energy, vectors)), 1e-6);
    const Function derivative = [&](const Tensor& x) {
        if (x.requires_grad()) return (gradient(energy, x, true) * direction).sum();
        return (gradient(energy, x) * direction).sum();
    };
    report(name + ", second derivative", difference_error(derivative, vectors, gradient(derivative, vectors)), 1e-6);
}

// Features of an operator, what it takes after the graph, and the operator of their Jacobian (or "").
struct Features {
    std::string name, jacobian;
    std::vector<c10::IValue> more = {};
};

void check_features(const Graph& graph, const Features& f, const Tensor& vectors, const Tensor& direction) {
    check_derivatives(f.name, [&](const Tensor& x) { return graph.call(f.name, x, f.more).sin().sum(); }, vectors, direction);
    const Tensor exact = graph.call(f.name, vectors, f.more), single = graph.call(f.name, vectors.to(at::kFloat), f.more);
    report(f.name + ", float32", ((exact - single).abs().max() / exact.abs().max()).item<double>(), 1e-4);
    if (f.jacobian.empty()) return;
    const auto both = graph.results(f.jacobian, vectors, f.more);
    const Tensor derivative = at::randn(exact.sizes(), at::kDouble), rows = both[1].toTensor();
    const Tensor expected =
        gradient([&](const Tensor& x) { return (graph.call(f.name, x, f.more) * derivative).sum(); }, vectors);
    const Tensor found = call("rhopot::jacobian_forces", {rows, graph.first_edge, derivative.unsqueeze(0)}).squeeze(0);
    report(f.jacobian + ", values", (both[0].toTensor() - exact).abs().max().item<double>(), 1e-12);
    report(f.jacobian + ", derivatives", ((found - expected).abs().max() / expected.abs().max()).item<double>(), 1e-10);
}

// Wavelet scattering: by the cell, through filters; and by a field, through its spectrum, a modulus and sums of powers.
void check_scattering() {
    using Points = c10::List<std::int64_t>;
    const Points have{6, 5, 8}, points{8, 6, 6};
    const c10::List<double> powers{1.0, 4.0 / 3, 2.0, 2.5};
    const Tensor dual = at::eye(3, at::kDouble) + 0.2 * at::randn({3, 3}, at::kDouble);
    const Tensor field = at::randn({2, 6, 5, 8}, at::kDouble), floor = at::full({2}, 0.3, at::kDouble);
    const Tensor mixing = at::randn({2, 2}, at::kDouble);
    const auto filters = [&](const Tensor& x) {
        return call("rhopot::wavelet_filters_v1", {x, points, 0.6, std::int64_t(3), std::int64_t(1)});
    };
    const auto spectrum = [](const Tensor& x) { return at::fft_rfftn(x, {}, at::IntArrayRef{1, 2, 3}, "forward"); };
    const Function by_cell = [&](const Tensor& x) {
        return call("rhopot::wavelet_power_sums_v1",
                    {spectrum(field), have, filters(x), points, true, Points{1, 0}, floor, powers})
            .log()
            .sum();
    };
    report("scattering by the cell", difference_error(by_cell, dual, gradient(by_cell, dual)), 1e-6);
    const Function by_field = [&](const Tensor& x) {
        const Tensor modulus =
            call("rhopot::wavelet_modulus_v1", {spectrum(x), have, filters(dual), points, true, mixing, floor});
        return call("rhopot::power_sums_v1", {modulus, powers}).log().sum();
    };
    report("scattering by a field", difference_error(by_field, field, gradient(by_field, field)), 1e-6);
}

// Multispectra of a density, with couplings written out: two vectors to a scalar.
void check_multispectrum(const Graph& graph, const Tensor& vectors, const Tensor& along) {
    const auto table = [](std::vector<std::int64_t> numbers, std::int64_t columns) {
        return at::tensor(numbers, at::kLong).view({-1, columns});
    };
    const Tensor density = at::randn({11, 9, 3}, at::kDouble), direction = at::randn({11, 9, 3}, at::kDouble);
    const std::vector<c10::IValue> terms{at::tensor({0, 2}, at::kLong),
                                         table({2, 0, 1, 1, 1, 1}, 3),
                                         table({1, 0, 1, 1, 0, 1, 0, 1, 2, 0}, 5),
                                         table({0, 2, 1, 0}, 2),
                                         table({0, 0, 0, 1}, 2),
                                         table({1, 1, 0}, 3),
                                         at::tensor({0, 3}, at::kLong),
                                         table({0, 0, 0, 1, 1, 0, 2, 2, 0}, 3),
                                         at::full({3}, std::sqrt(1.0 / 3), at::kDouble)};
    check_derivatives("rhopot::multispectrum_v1", [&](const Tensor& x) {
        std::vector<c10::IValue> inputs{x};
        inputs.insert(inputs.end(), terms.begin(), terms.end());
        return call("rhopot::multispectrum_v1", inputs).sin().sum();
    }, density, direction);
    std::vector<c10::IValue> model = terms;
    model.insert(model.end(), {at::randn({2, 8, 3}, at::kDouble), true});
    check_derivatives("rhopot::multispectrum_linear_v1", [&](const Tensor& x) {
        return graph.call("rhopot::multispectrum_linear_v1", x, model).sum();
    }, vectors, along);
}

// Angular filters of two heads: by coefficients, directions and weights; and rows that nobody exchanges.
void check_angular(const Graph& graph) {
    const std::int64_t gaussians = 4, filters = 16, heads = 2;
    const Tensor rows = 0.7 * at::randn({14, gaussians * filters + 3 + heads}, at::kDouble);
    const Tensor along = at::randn(rows.sizes(), at::kDouble);
    const auto sums = [&](const Tensor& x) {
        return call("rhopot::angular_filters_v1", {x, graph.first_edge, gaussians, heads, 0.4});
    };
    check_derivatives("rhopot::angular_filters_v1", [&](const Tensor& x) { return sums(x).sin().sum(); }, rows, along);
    const Tensor exact = sums(rows), single = sums(rows.to(at::kFloat));
    report("rhopot::angular_filters_v1, float32", ((exact - single).abs().max() / exact.abs().max()).item<double>(), 1e-4);
    const auto exchanged = [](const Tensor& x) { return call("rhopot::exchange_v1", {x}); };
    report("rhopot::exchange_v1, values", (exchanged(rows) - rows).abs().max().item<double>(), 0);
    check_derivatives("rhopot::exchange_v1", [&](const Tensor& x) { return exchanged(x).sin().sum(); }, rows, along);
}

void check_refusal(const Graph& graph, const Tensor& vectors) {
    std::string sentence = "nothing";
    try {
        graph.call("rhopot::density_expansion_v1", vectors.flatten());
    } catch (const c10::Error& error) {
        sentence = error.what_without_backtrace();
    }
    report("refusal: " + sentence, sentence.find("edge_vectors must be of shape (E, 3), got [42]") == 0 ? 0 : 1, 0);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2 || dlopen(argv[1], RTLD_NOW) == nullptr) {
        std::printf("FAIL usage: operators_without_python <library>; %s\n", argc == 2 ? dlerror() : "");
        return 1;
    }
    report("Python in this process", dlsym(RTLD_DEFAULT, "Py_IsInitialized") == nullptr ? 0 : 1, 0);
    at::manual_seed(0);
    const Graph graph;
    const Tensor vectors = at::randn({14, 3}, at::kDouble) * 1.3, direction = at::randn({14, 3}, at::kDouble);
    const Tensor weights = at::randn({2, 40, 1}, at::kDouble);
    check_features(graph, {"rhopot::density_expansion_v1", ""}, vectors, direction);
    check_features(graph, {"rhopot::soap_power_spectrum_v1", "rhopot::soap_jacobian_v1"}, vectors, direction);
    const std::vector<c10::IValue> linear{weights, false};
    check_derivatives("rhopot::soap_linear_v1", [&](const Tensor& x) {
        return graph.call("rhopot::soap_linear_v1", x, linear).sum();
    }, vectors, direction);
    const Tensor points = at::rand({7, 40}, at::kDouble), coefficients = at::randn({7, 2}, at::kDouble);
    const std::vector<c10::IValue> sparse{
        points, c10::List<std::int64_t>{0, 4, 7}, coefficients, std::int64_t(3), c10::IValue(), true};
    check_derivatives("rhopot::soap_gap_v1",
                      [&](const Tensor& x) { return graph.call("rhopot::soap_gap_v1", x, sparse).sum(); }, vectors, direction);
    Graph summed;
    summed.channel = at::zeros({2}, at::kLong);
    summed.n_channels = 1;
    const std::vector<c10::IValue> probes{std::int64_t(1), at::rand({4}, at::kDouble) + 0.1};
    check_features(summed, {"rhopot::gmp_features_v1", "rhopot::gmp_jacobian_v1", probes}, vectors, direction);
    const Tensor pairs = at::tensor({0.5, 0.0, 1.5, 1.2}, at::kDouble).view({2, 2}),
                 widths = at::tensor({0.1, 0.4}, at::kDouble);
    const c10::List<std::int64_t> zeta{1, 4}, sign{1, -1};
    const std::vector<c10::IValue> grid{pairs, widths, zeta, sign, 4.0, 2.0, "quintic", std::int64_t(2)};
    check_features(graph, {"rhopot::symmetry_functions_v1", "rhopot::symmetry_jacobian_v1", grid}, vectors, direction);
    check_scattering();
    check_multispectrum(graph, vectors, direction);
    check_angular(graph);
    check_refusal(graph, vectors);
    std::printf(failures == 0 ? "all good\n" : "%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}
