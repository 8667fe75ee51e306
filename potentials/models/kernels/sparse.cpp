// Sparse-kernel model on the power spectrum, in one pass: spectra, kernels, energies and the way back to the edges.
//
// Centres are sorted by species and worked through in pieces whose rows stay in the caches of a core; only the sparse
// points stream past them, once forwards and once backwards. Both passes are matrix products. The density of a centre is
// made twice, because keeping what its adjoint needs would take more memory traffic than making it.
#include "sparse.hpp"

#include <ATen/Dispatch.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "descriptors/soap/kernels/soap_kernels.hpp"
#include "read_out_kernels.hpp"

namespace rhopot {
namespace {

// A piece has a multiple of MULTIPLE rows where it can: libraries of matrix products are slow on the odd rows.
constexpr std::int64_t CENTRES_PER_PIECE = 128, MULTIPLE = 8;

// centres order[begin] ... order[end-1], all of one species
struct Piece {
    std::int64_t species, begin, end;
};

struct Pieces {
    std::vector<std::int64_t> order;
    std::vector<Piece> pieces;
};

// about equal pieces of each species' centres, in the order of the centres
Pieces cut(const GraphArguments& a) {
    const std::int64_t* centre = a.centre.const_data_ptr<std::int64_t>();
    const std::int64_t* species = a.species.const_data_ptr<std::int64_t>();
    std::vector<std::vector<std::int64_t>> of_species(a.n_species());
    for (std::int64_t i = 0; i < a.n_centres(); ++i) of_species[species[centre[i]]].push_back(i);
    Pieces result;
    for (std::int64_t kind = 0; kind < a.n_species(); ++kind) {
        const auto& own = of_species[kind];
        const std::int64_t n = own.size(), start = result.order.size();
        const std::int64_t count = (n + CENTRES_PER_PIECE - 1) / CENTRES_PER_PIECE;
        const std::int64_t equal = count > 0 ? (n + count - 1) / count : 1, size = (equal + MULTIPLE - 1) / MULTIPLE * MULTIPLE;
        for (std::int64_t begin = 0; begin < n; begin += size) {
            result.pieces.push_back({kind, start + begin, start + std::min(begin + size, n)});
        }
        result.order.insert(result.order.end(), own.begin(), own.end());
    }
    return result;
}

template <class T> at::Tensor matrix(T* data, std::int64_t rows, std::int64_t columns) {
    return at::from_blob(data, {rows, columns}, at::dtype(c10::CppTypeToScalarType<T>::value));
}

// What one call works on, and what the pieces write to.
template <class T> struct Call {
    const SoapKernels<T>& soap;
    const SparseKernels<T>& sparse;
    Graph<T> graph;
    Basis<T> basis;
    const SparseModel& model;
    at::Tensor first_weights;  // [M], column 0
    std::int64_t n_features, n_used, most_points, members;
    const std::int64_t* features;  // [n_used], or null for all
    T* energies;                   // [C, 1 + members]
    T* gradient;                   // [E, 3], or null

    // rows of: spectra, units, overlaps, feature_gradients, norms and, for members, powers; then the kernels' own memory
    std::size_t rows() const {
        const std::int64_t row = n_features + 2 * n_used + (members > 0 ? 2 : 1) * most_points + 1;
        return std::size_t(CENTRES_PER_PIECE * row + 63) / 64 * 64;
    }
    Graph<T> graph_of(std::int64_t i) const {
        Graph<T> one = graph;
        one.first_edge += i;
        one.centre += i;
        return one;
    }
    void units(std::int64_t n, const std::int64_t* order, T* spectrum, T* unit, T* inverse, T* workspace) const;
    void edges(std::int64_t n, const std::int64_t* order, T* spectrum, T* feature_gradient, T* workspace) const;
    void piece(const Piece& piece, const std::int64_t* order, T* workspace) const;
};

// spectra of n centres and, from the columns in use, rows of norm one with 1 / norm
template <class T>
void Call<T>::units(std::int64_t n, const std::int64_t* order, T* spectrum, T* unit, T* inverse, T* workspace) const {
    for (std::int64_t r = 0; r < n; ++r) {
        T* row = unit + r * n_used;
        soap.soap(graph_of(order[r]), basis, 0, 1, features == nullptr ? row : spectrum, workspace);
        for (std::int64_t f = 0; features != nullptr && f < n_used; ++f) row[f] = spectrum[features[f]];
        inverse[r] = sparse.normalise(row, n_used);
    }
}

// gradients of the edges of n centres from dE/dp of the columns in use
template <class T>
void Call<T>::edges(std::int64_t n, const std::int64_t* order, T* spectrum, T* feature_gradient, T* workspace) const {
    for (std::int64_t r = 0; r < n; ++r) {
        const T* row = feature_gradient + r * n_used;
        if (features != nullptr) {
            std::fill_n(spectrum, n_features, T(0));
            for (std::int64_t f = 0; f < n_used; ++f) spectrum[features[f]] += row[f];
            row = spectrum;
        }
        soap.soap_adjoint(graph_of(order[r]), basis, 0, 1, row, gradient, workspace);
    }
}

template <class T> void Call<T>::piece(const Piece& piece, const std::int64_t* order, T* workspace) const {
    const std::int64_t first = model.first_point[piece.species], m = model.first_point[piece.species + 1] - first;
    const std::int64_t n = piece.end - piece.begin, columns = 1 + members;
    if (m == 0) return;
    order += piece.begin;
    T* own = workspace + rows();
    T *unit = workspace, *feature_gradient = unit + n * n_used, *overlap = feature_gradient + n * n_used,
      *inverse = overlap + n * m;
    T *spectrum = inverse + n, *powers = spectrum + n_features;
    const at::Tensor points = model.points.narrow(0, first, m);
    at::Tensor unit_rows = matrix(unit, n, n_used), kernel = matrix(overlap, n, m),
               feature_gradients = matrix(feature_gradient, n, n_used);

    units(n, order, spectrum, unit, inverse, own);
    at::mm_out(kernel, unit_rows, points.t());
    const T* weights = first_weights.const_data_ptr<T>() + first;
    for (std::int64_t r = 0; r < n; ++r) {
        energies[order[r] * columns] =
            sparse.kernel_energy(overlap + r * m, weights, m, model.zeta, members > 0 ? powers + r * m : nullptr);
    }
    if (members > 0) {
        const at::Tensor rest = model.weights.narrow(0, first, m).narrow(1, 1, members);
        const at::Tensor values = at::mm(matrix(powers, n, m), rest);
        for (std::int64_t r = 0; r < n; ++r) {
            std::copy_n(values.const_data_ptr<T>() + r * members, members, energies + order[r] * columns + 1);
        }
    }
    if (gradient == nullptr) return;
    at::mm_out(feature_gradients, kernel, points);
    for (std::int64_t r = 0; r < n; ++r) {
        const T along = T(model.zeta) * energies[order[r] * columns];
        sparse.unnormalise(feature_gradient + r * n_used, unit + r * n_used, n_used, along, inverse[r]);
    }
    edges(n, order, spectrum, feature_gradient, own);
}

}  // namespace

void SparseModel::check(const GraphArguments& a) const {
    const auto type = a.edge_vectors.scalar_type();
    TORCH_CHECK_TYPE(points.scalar_type() == type && weights.scalar_type() == type,
                     "points and weights must have the dtype of edge_vectors (", type, "), got ", points.scalar_type(), " and ",
                     weights.scalar_type(), "; cast them");
    if (features.defined()) check_index(features, "features", n_features(a), "features of the power spectrum");
    const std::int64_t used = features.defined() ? features.size(0) : n_features(a);
    TORCH_CHECK_VALUE(points.dim() == 2 && points.size(1) == used, "points must be of shape (M, ", used, "), got ",
                      points.sizes());
    TORCH_CHECK_VALUE(weights.dim() == 2 && weights.size(0) == points.size(0) && weights.size(1) >= 1,
                      "weights must be of shape (", points.size(0), ", >= 1), got ", weights.sizes());
    TORCH_CHECK_VALUE(zeta >= 1, "zeta must be at least 1, got ", zeta);
    TORCH_CHECK_VALUE(std::int64_t(first_point.size()) == a.n_species() + 1 && first_point.front() == 0 &&
                          first_point.back() == points.size(0) && std::is_sorted(first_point.begin(), first_point.end()),
                      "first_point must rise from 0 to the number of points (", points.size(0), ") in ", a.n_species() + 1,
                      " entries, got ", c10::IntArrayRef(first_point));
}

AtomEnergies soap_gap(const GraphArguments& a, const SparseModel& model, bool members, bool want_gradient) {
    const auto options = a.edge_vectors.options();
    const std::int64_t columns = members ? model.weights.size(1) : 1;
    AtomEnergies result{at::zeros({a.n_centres(), columns}, options), {}};
    if (want_gradient) result.gradient = at::zeros({a.n_edges(), 3}, options);
    const SparseModel dense{model.points.contiguous(), model.first_point, model.weights, model.zeta,
                            model.features.defined() ? model.features.contiguous() : model.features};
    const Pieces work = cut(a);
    std::int64_t most_points = 0;
    for (const Piece& p : work.pieces) {
        most_points = std::max(most_points, dense.first_point[p.species + 1] - dense.first_point[p.species]);
    }
    AT_DISPATCH_FLOATING_TYPES(a.edge_vectors.scalar_type(), "rhopot", [&] {
        const Call<scalar_t> call{soap_kernels<scalar_t>(),
                                  sparse_kernels<scalar_t>(),
                                  a.graph<scalar_t>(),
                                  a.basis<scalar_t>(),
                                  dense,
                                  dense.weights.select(1, 0).contiguous(),
                                  n_features(a),
                                  dense.points.size(1),
                                  most_points,
                                  columns - 1,
                                  dense.features.defined() ? dense.features.const_data_ptr<std::int64_t>() : nullptr,
                                  result.energies.mutable_data_ptr<scalar_t>(),
                                  want_gradient ? result.gradient.mutable_data_ptr<scalar_t>() : nullptr};
        const std::size_t size = call.rows() + call.soap.graph_workspace(call.basis, a.most_edges());
        at::parallel_for(0, work.pieces.size(), 1, [&](std::int64_t begin, std::int64_t end) {
            at::AutoDispatchBelowADInplaceOrView guard;
            scalar_t* workspace = thread_workspace<scalar_t>(size);
            for (std::int64_t k = begin; k < end; ++k) call.piece(work.pieces[k], work.order.data(), workspace);
        });
    });
    return result;
}

at::Tensor sparse_adjoint(const GraphArguments& a, const SparseModel& model, const at::Tensor& spectrum,
                          const at::Tensor& adjoint) {
    const at::Tensor used = model.features.defined() ? spectrum.index_select(1, model.features) : spectrum;
    const at::Tensor square = (used * used).sum(1, true), empty = square.eq(0);
    const at::Tensor inverse = at::where(empty, 0, at::rsqrt(at::where(empty, 1, square)));
    const at::Tensor unit = used * inverse;
    const at::Tensor kinds = a.species.index_select(0, a.centre);
    at::Tensor feature_gradient = at::zeros_like(used);
    for (std::int64_t kind = 0; kind < a.n_species(); ++kind) {
        const std::int64_t first = model.first_point[kind], m = model.first_point[kind + 1] - first;
        const at::Tensor rows = kinds.eq(kind).nonzero().flatten();
        if (m == 0 || rows.numel() == 0) continue;
        const at::Tensor points = model.points.narrow(0, first, m);
        const at::Tensor weights = model.weights.narrow(0, first, m).narrow(1, 0, adjoint.size(1));
        const at::Tensor lower = unit.index_select(0, rows).mm(points.t()).pow(model.zeta - 1);
        const at::Tensor by_kernel = adjoint.index_select(0, rows).mm(weights.t()) * lower * double(model.zeta);
        feature_gradient = feature_gradient.index_add(0, rows, by_kernel.mm(points));
    }
    const at::Tensor by_feature = (feature_gradient - unit * (unit * feature_gradient).sum(1, true)) * inverse;
    if (!model.features.defined()) return by_feature;
    return at::zeros_like(spectrum).index_add(1, model.features, by_feature);
}

}  // namespace rhopot
