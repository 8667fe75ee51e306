#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "density/kernels/arguments.hpp"
#include "multispectrum.hpp"
#include "multispectrum_kernels.hpp"

namespace rhopot {
namespace {

const std::int64_t* rows(const at::Tensor& tensor) { return tensor.const_data_ptr<std::int64_t>(); }

// What the kernels read, made once per call from the tensors: runs and groups of pairs, and entries by coupling.
template <class T> struct Plan {
    std::vector<PairGroup> groups;
    std::vector<PairRun> runs;
    std::vector<Coupling> couplings;
    std::vector<std::vector<std::int32_t>> first, m1, m2;
    std::vector<std::vector<T>> values;
    std::vector<const T*> value_pointers;
    std::vector<std::int64_t> first_three, first_four;
    MultispectrumTerms<T> terms{};

    Plan(const TermTensors& given, int l_max, int width) {
        make_couplings(given);
        make_groups(given);
        first_three = offsets(given.three, given.pairs.size(0));
        first_four = offsets(given.four, given.pairs.size(0));
        terms = {l_max,
                 width,
                 given.one.size(0),
                 given.two.size(0),
                 given.pairs.size(0),
                 given.three.size(0),
                 given.four.size(0),
                 std::int64_t(groups.size()),
                 rows(given.one),
                 rows(given.two),
                 rows(given.three),
                 rows(given.four),
                 first_three.data(),
                 first_four.data(),
                 groups.data(),
                 runs.data(),
                 couplings.data(),
                 value_pointers.data(),
                 0};
        for (const PairGroup& group : groups) {
            terms.most_components = std::max(terms.most_components, std::int64_t(group.n_pairs) * (2 * group.degree + 1));
        }
    }

    void make_couplings(const TermTensors& given) {
        const std::int64_t n = given.degrees.size(0), *degrees = rows(given.degrees), *first_entry = rows(given.first_entry),
                           *entries = rows(given.entries);
        const at::Tensor exact = given.values.to(at::kDouble).contiguous();
        const double* from = exact.const_data_ptr<double>();
        for (std::int64_t g = 0; g < n; ++g) {
            const std::int64_t components = 2 * degrees[3 * g + 2] + 1;
            std::vector<std::int32_t> offset(std::size_t(components) + 1, 0), a, b;
            std::vector<T> value;
            for (std::int64_t e = first_entry[g]; e < first_entry[g + 1]; ++e) {  // sorted by m
                a.push_back(std::int32_t(entries[3 * e]));
                b.push_back(std::int32_t(entries[3 * e + 1]));
                value.push_back(T(from[e]));
                ++offset[std::size_t(entries[3 * e + 2]) + 1];
            }
            for (std::size_t m = 0; m < std::size_t(components); ++m) offset[m + 1] += offset[m];
            first.push_back(std::move(offset));
            m1.push_back(std::move(a));
            m2.push_back(std::move(b));
            values.push_back(std::move(value));
        }
        for (std::size_t g = 0; g < std::size_t(n); ++g) {
            couplings.push_back({first[g].data(), m1[g].data(), m2[g].data()});
            value_pointers.push_back(values[g].data());
        }
    }

    void make_groups(const TermTensors& given) {
        const std::int64_t *pair = rows(given.pairs), *degrees = rows(given.degrees);
        const auto coupling_of = [&](const std::int64_t* p) {
            std::int32_t g = 0;
            while (degrees[3 * g] != p[0] || degrees[3 * g + 1] != p[2] || degrees[3 * g + 2] != p[4]) ++g;
            return g;
        };
        for (std::int64_t k = 0; k < given.pairs.size(0); ++k, pair += 5) {
            const bool odd = (pair[0] + pair[2] + pair[4]) % 2 == 1;
            const bool starts = k == 0 || pair[4] != pair[-1] || odd != ((pair[-5] + pair[-3] + pair[-1]) % 2 == 1);
            if (starts) groups.push_back({std::int32_t(pair[4]), 0, std::int32_t(k), std::int32_t(runs.size()), 0});
            PairGroup& group = groups.back();
            const bool goes_on =
                !starts && pair[0] == pair[-5] && pair[1] == pair[-4] && pair[2] == pair[-3] && pair[3] == pair[-2] + 1;
            if (goes_on) {
                ++runs.back().count;
            } else {
                runs.push_back({std::int32_t(pair[0]), std::int32_t(pair[1]), std::int32_t(pair[2]), std::int32_t(pair[3]), 1,
                                group.n_pairs, coupling_of(pair)});
                ++group.n_runs;
            }
            ++group.n_pairs;
        }
    }

    static std::vector<std::int64_t> offsets(const at::Tensor& terms, std::int64_t n_pairs) {
        std::vector<std::int64_t> found(std::size_t(n_pairs) + 1, 0);
        for (std::int64_t t = 0; t < terms.size(0); ++t) ++found[std::size_t(rows(terms)[2 * t]) + 1];
        for (std::size_t k = 0; k < std::size_t(n_pairs); ++k) found[k + 1] += found[k];
        return found;
    }
};

template <class Work>
void on_density(const TermTensors& terms, const at::Tensor& value, const at::Tensor& tangent, const Work& work) {
    AT_DISPATCH_FLOATING_TYPES(value.scalar_type(), "rhopot", [&] {
        const auto& k = multispectrum_kernels<scalar_t>();
        const auto density = density_of<scalar_t>(value, tangent);
        const Plan<scalar_t> plan(terms, density.l_max, density.n_channels_total);
        over_centres<scalar_t>(value.size(0), k.density_workspace(plan.terms), [&](auto begin, auto end, auto* workspace) {
            work(k, plan.terms, density, begin, end, workspace);
        });
    });
}

// the same for a graph: work(kernels, terms, graph, basis, begin, end, workspace)
template <class Work> void on_graph(const TermTensors& terms, const GraphArguments& a, const Work& work) {
    AT_DISPATCH_FLOATING_TYPES(a.edge_vectors.scalar_type(), "rhopot", [&] {
        const auto& k = multispectrum_kernels<scalar_t>();
        const auto graph = a.graph<scalar_t>();
        const auto basis = a.basis<scalar_t>();
        const Plan<scalar_t> plan(terms, basis.l_max, int(a.width()));
        over_centres<scalar_t>(
            a.n_centres(), k.graph_workspace(plan.terms, basis, a.most_edges()),
            [&](auto begin, auto end, auto* workspace) { work(k, plan.terms, graph, basis, begin, end, workspace); });
    });
}

void check_table(const at::Tensor& tensor, const char* name, std::int64_t columns) {
    TORCH_CHECK_TYPE(tensor.scalar_type() == at::kLong, name, " must be int64, got ", tensor.scalar_type());
    TORCH_CHECK_VALUE(tensor.device().is_cpu() && tensor.dim() == 2 && tensor.size(1) == columns && tensor.is_contiguous(),
                      name, " must be of shape (n, ", columns, "), contiguous and on the CPU, got ", tensor.sizes());
}

// every number of a column in [0, size), or throws with a sentence; `what` says what it counts
void check_column(const at::Tensor& table, const char* name, std::int64_t column, std::int64_t size, const char* what) {
    const std::int64_t columns = table.size(1);
    for (std::int64_t i = 0; i < table.size(0); ++i) {
        const std::int64_t found = rows(table)[i * columns + column];
        TORCH_CHECK_VALUE(found >= 0 && found < size, name, " must name ", what, " from 0 to ", size - 1, ", got ", found);
    }
}

// rows sorted by the first column, or throws with a sentence
void check_sorted(const at::Tensor& table, const char* name) {
    for (std::int64_t i = 1; i < table.size(0); ++i) {
        TORCH_CHECK_VALUE(rows(table)[2 * i] >= rows(table)[2 * i - 2], name, " must be sorted by pair, got ",
                          rows(table)[2 * i - 2], " before ", rows(table)[2 * i]);
    }
}

}  // namespace

void TermTensors::check(std::int64_t n_degrees, std::int64_t width) const {
    const std::int64_t n_pairs = pairs.size(0);
    check_index(one, "one", width, "channels");
    const char* names[] = {"two", "pairs", "three", "four", "degrees", "entries"};
    const at::Tensor* tables[] = {&two, &pairs, &three, &four, &degrees, &entries};
    const std::int64_t columns[] = {3, 5, 2, 2, 3, 3};
    for (int k = 0; k < 6; ++k) check_table(*tables[k], names[k], columns[k]);
    check_column(two, "two", 0, n_degrees, "degrees of the density");
    for (const std::int64_t k : {1, 2}) check_column(two, "two", k, width, "channels");
    for (const std::int64_t k : {0, 2}) check_column(pairs, "pairs", k, n_degrees, "degrees of the density");
    for (const std::int64_t k : {1, 3}) check_column(pairs, "pairs", k, width, "channels");
    check_column(three, "three", 0, n_pairs, "pairs");
    check_column(three, "three", 1, width, "channels");
    for (const std::int64_t k : {0, 1}) check_column(four, "four", k, n_pairs, "pairs");
    check_sorted(three, "three");
    check_sorted(four, "four");
    check_offsets(first_entry, degrees.size(0), entries.size(0));
    TORCH_CHECK_VALUE(values.dim() == 1 && values.size(0) == entries.size(0), "values must be one number for each of ",
                      entries.size(0), " entries, got ", values.sizes());
    for (std::int64_t g = 0; g < degrees.size(0); ++g) {
        const std::int64_t* l = rows(degrees) + 3 * g;
        for (std::int64_t e = rows(first_entry)[g]; e < rows(first_entry)[g + 1]; ++e) {
            const std::int64_t* m = rows(entries) + 3 * e;
            const bool inside = m[0] >= 0 && m[0] <= 2 * l[0] && m[1] >= 0 && m[1] <= 2 * l[1] && m[2] >= 0 && m[2] <= 2 * l[2];
            TORCH_CHECK_VALUE(inside && (e == rows(first_entry)[g] || m[2] >= m[-1]),
                              "entries must lie within their degrees and be sorted by m, got ", m[0], ", ", m[1], ", ", m[2]);
        }
    }
    const auto group_of = [&](std::int64_t k) {
        const std::int64_t* p = rows(pairs) + 5 * k;
        return 2 * p[4] + (p[0] + p[2] + p[4]) % 2;
    };
    for (std::int64_t k = 0; k < n_pairs; ++k) {
        const std::int64_t* p = rows(pairs) + 5 * k;
        bool known = false;
        for (std::int64_t g = 0; g < degrees.size(0) && !known; ++g) {
            const std::int64_t* l = rows(degrees) + 3 * g;
            known = l[0] == p[0] && l[1] == p[2] && l[2] == p[4];
        }
        TORCH_CHECK_VALUE(known, "degrees must hold every coupling of pairs, got none of ", p[0], ", ", p[2], " and ", p[4]);
        TORCH_CHECK_VALUE(k == 0 || group_of(k) >= group_of(k - 1), "pairs must be sorted by degree, tensors first");
    }
    for (std::int64_t t = 0; t < three.size(0); ++t) {
        TORCH_CHECK_VALUE(rows(pairs)[5 * rows(three)[2 * t] + 4] < n_degrees,
                          "three must close pairs of degrees of the density");
    }
    for (std::int64_t t = 0; t < four.size(0); ++t) {
        TORCH_CHECK_VALUE(group_of(rows(four)[2 * t]) == group_of(rows(four)[2 * t + 1]),
                          "four must join pairs of one degree and parity");
    }
}

at::Tensor multispectrum(const TermTensors& terms, const at::Tensor& density, const at::Tensor& tangent) {
    const at::Tensor value = density.contiguous();
    at::Tensor features = at::empty({value.size(0), terms.n_features()}, value.options());
    on_density(terms, value, contiguous(tangent),
               [&](auto& k, auto& plan, auto& source, auto begin, auto end, auto* workspace) {
        k.values(plan, source, begin, end, out(features, workspace), workspace);
    });
    return features;
}

at::Tensor multispectrum_adjoint(const TermTensors& terms, const at::Tensor& density, const at::Tensor& adjoint,
                                 const at::Tensor& tangent) {
    const at::Tensor value = density.contiguous(), h = adjoint.contiguous();
    at::Tensor gradient = at::empty_like(value);
    on_density(terms, value, contiguous(tangent),
               [&](auto& k, auto& plan, auto& source, auto begin, auto end, auto* workspace) {
        k.adjoint(plan, source, begin, end, in(h, workspace), out(gradient, workspace), workspace);
    });
    return gradient;
}

std::tuple<at::Tensor, at::Tensor> multispectrum_jacobian(const GraphArguments& a, const TermTensors& terms) {
    const auto options = a.edge_vectors.options();
    at::Tensor p = at::empty({a.n_centres(), terms.n_features()}, options);
    at::Tensor dp = at::empty({a.n_edges(), 3, terms.n_features()}, options);
    on_graph(terms, a, [&](auto& k, auto& plan, auto& graph, auto& basis, auto begin, auto end, auto* workspace) {
        k.jacobian(plan, graph, basis, begin, end, out(p, workspace), out(dp, workspace), workspace);
    });
    return {p, dp};
}

AtomEnergies multispectrum_linear(const GraphArguments& a, const TermTensors& terms, const at::Tensor& weights, bool members,
                                  bool want_gradient) {
    check_weights(a, weights, terms.n_features());
    const auto options = a.edge_vectors.options();
    const std::int64_t columns = members ? weights.size(2) : 1;
    AtomEnergies result{at::empty({a.n_centres(), columns}, options), {}};
    at::Tensor features;
    if (want_gradient) result.gradient = at::empty({a.n_edges(), 3}, options);
    if (columns > 1) features = at::empty({a.n_centres(), terms.n_features()}, options);
    const at::Tensor first = weights.select(2, 0).contiguous();
    on_graph(terms, a, [&](auto& k, auto& plan, auto& graph, auto& basis, auto begin, auto end, auto* workspace) {
        k.linear(plan, graph, basis, begin, end, {in(first, workspace), first.size(0), a.most_edges()},
                 {out(result.energies, workspace), columns, out(result.gradient, workspace), out(features, workspace)},
                 workspace);
    });
    if (columns > 1) add_members(a, features, weights, result.energies);
    return result;
}

}  // namespace rhopot
