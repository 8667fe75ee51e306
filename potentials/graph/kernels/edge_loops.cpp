// The loops around a model, for callers in Python: edges of a structure that has moved, and forces from edges. One pass
// each, float64, no derivatives.
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include "density/kernels/arguments.hpp"

namespace rhopot {
namespace {

using at::Tensor;

void check_rows(const Tensor& rows, const char* name, std::int64_t n, std::int64_t width) {
    TORCH_CHECK_VALUE(rows.device().is_cpu() && rows.scalar_type() == at::kDouble && rows.dim() == 2 && rows.size(1) == width &&
                          (n < 0 || rows.size(0) == n),
                      name, " must be float64 rows of ", width, n < 0 ? "" : ", one per edge", ", got ", rows.scalar_type(),
                      " of shape ", rows.sizes());
}

void check_edges(const Tensor& first_edge, const Tensor& centre, const Tensor& neighbour, std::int64_t n_atoms) {
    check_index(centre, "centre", n_atoms, "atoms");
    check_index(neighbour, "neighbour", n_atoms, "atoms");
    check_offsets(first_edge, centre.size(0), neighbour.size(0));
}

// (vectors[E', 3], first_edge[C+1], neighbour[E'], kept[E']): the edges r_j - r_i + offset shorter than the cutoff
std::tuple<Tensor, Tensor, Tensor, Tensor> edges_within(const Tensor& positions, const Tensor& offsets,
                                                        const Tensor& first_edge, const Tensor& centre, const Tensor& neighbour,
                                                        double cutoff) {
    check_rows(positions, "positions", -1, 3);
    check_rows(offsets, "offsets", neighbour.size(0), 3);
    check_edges(first_edge, centre, neighbour, positions.size(0));
    const Tensor x = positions.contiguous(), shift = offsets.contiguous(), first = first_edge.contiguous(),
                 from = centre.contiguous(), to = neighbour.contiguous();
    const std::int64_t n_edges = to.size(0), n_centres = from.size(0);
    Tensor vectors = at::empty({n_edges, 3}, x.options()), ends = at::empty({n_centres + 1}, to.options()),
           rows = at::empty({n_edges}, to.options()), kept = at::empty({n_edges}, to.options());
    const double *r = x.const_data_ptr<double>(), *s = shift.const_data_ptr<double>();
    const std::int64_t *begin = first.const_data_ptr<std::int64_t>(), *i = from.const_data_ptr<std::int64_t>(),
                       *j = to.const_data_ptr<std::int64_t>();
    double* v = vectors.mutable_data_ptr<double>();
    std::int64_t *end = ends.mutable_data_ptr<std::int64_t>(), *row = rows.mutable_data_ptr<std::int64_t>(),
                 *which = kept.mutable_data_ptr<std::int64_t>();
    std::int64_t n = 0;
    end[0] = 0;
    for (std::int64_t c = 0; c < n_centres; ++c) {
        const double* a = r + 3 * i[c];
        for (std::int64_t e = begin[c]; e < begin[c + 1]; ++e) {
            const double* b = r + 3 * j[e];
            const double dx = b[0] - a[0] + s[3 * e], dy = b[1] - a[1] + s[3 * e + 1], dz = b[2] - a[2] + s[3 * e + 2];
            v[3 * n] = dx;
            v[3 * n + 1] = dy;
            v[3 * n + 2] = dz;
            row[n] = j[e];
            which[n] = e;
            n += dx * dx + dy * dy + dz * dz < cutoff * cutoff;
        }
        end[c + 1] = n;
    }
    return {vectors.narrow(0, 0, n), ends, rows.narrow(0, 0, n), kept.narrow(0, 0, n)};
}

// (forces[N, 3], virial[3, 3]) from g = dE/d(edge vector): F_i += g, F_j -= g, virial -= r (x) g
std::tuple<Tensor, Tensor> edge_sums(const Tensor& vectors, const Tensor& gradient, const Tensor& first_edge,
                                     const Tensor& centre, const Tensor& neighbour, std::int64_t n_atoms) {
    check_rows(vectors, "vectors", neighbour.size(0), 3);
    check_rows(gradient, "gradient", neighbour.size(0), 3);
    check_edges(first_edge, centre, neighbour, n_atoms);
    const Tensor r = vectors.contiguous(), g = gradient.contiguous(), first = first_edge.contiguous(),
                 from = centre.contiguous(), to = neighbour.contiguous();
    Tensor forces = at::zeros({n_atoms, 3}, r.options()), virial = at::zeros({3, 3}, r.options());
    const double *edge = r.const_data_ptr<double>(), *along = g.const_data_ptr<double>();
    const std::int64_t *begin = first.const_data_ptr<std::int64_t>(), *i = from.const_data_ptr<std::int64_t>(),
                       *j = to.const_data_ptr<std::int64_t>();
    double *f = forces.mutable_data_ptr<double>(), *w = virial.mutable_data_ptr<double>();
    for (std::int64_t c = 0; c < from.size(0); ++c) {
        double own[3] = {0, 0, 0};
        for (std::int64_t e = begin[c]; e < begin[c + 1]; ++e) {
            double* other = f + 3 * j[e];
            for (int b = 0; b < 3; ++b) {
                const double value = along[3 * e + b];
                own[b] += value;
                other[b] -= value;
                for (int a = 0; a < 3; ++a) w[3 * a + b] -= edge[3 * e + a] * value;
            }
        }
        for (int b = 0; b < 3; ++b) f[3 * i[c] + b] += own[b];
    }
    return {forces, virial};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rhopot, m) {
    m.def(
        "edges_within(Tensor positions, Tensor offsets, Tensor first_edge, Tensor centre, Tensor neighbour, float cutoff) "
        "-> (Tensor vectors, Tensor first_edge, Tensor neighbour, Tensor kept)",
        edges_within);
    m.def(
        "edge_sums(Tensor vectors, Tensor gradient, Tensor first_edge, Tensor centre, Tensor neighbour, int n_atoms) "
        "-> (Tensor forces, Tensor virial)",
        edge_sums);
}

}  // namespace rhopot
