// The arguments that all graph operators share: checked once, here, then trusted.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <memory>
#include <new>

#include "problem.hpp"

namespace rhopot {

// A graph on tensors, contiguous after construction; see problem.hpp for shapes and meaning.
struct GraphTensors {
    at::Tensor edge_vectors, first_edge, neighbour, centre, species;

    // throws c10::Error with one sentence when one of them does not fit; species lie in [0, n_species), `what` says what that
    // counts, `reference` names the plain PyTorch functions for other devices
    void check(std::int64_t n_species, const char* what, const char* reference) const;

    std::int64_t n_edges() const { return edge_vectors.size(0); }
    std::int64_t n_centres() const { return centre.size(0); }
    std::int64_t most_edges() const;  // of a centre

    template <class T> Graph<T> graph(const at::Tensor& tangents = {}) const {
        return {edge_vectors.const_data_ptr<T>(),
                tangents.defined() ? tangents.const_data_ptr<T>() : nullptr,
                tangents.defined(),
                first_edge.const_data_ptr<std::int64_t>(),
                neighbour.const_data_ptr<std::int64_t>(),
                centre.const_data_ptr<std::int64_t>(),
                species.const_data_ptr<std::int64_t>()};
    }
    template <class Self, class Visit> static void visit(Self& self, const Visit& visit) {
        visit(self.edge_vectors);
        visit(self.first_edge);
        visit(self.neighbour);
        visit(self.centre);
        visit(self.species);
    }
};

// A graph and the radial functions of its density.
struct GraphArguments : GraphTensors {
    at::Tensor radial, species_channel;
    double cutoff = 0;
    std::int64_t n_channels = 0;
    double center_weight = 0;

    // throws c10::Error with one sentence when an argument does not fit
    void check() const;

    std::int64_t n_species() const { return radial.size(0); }
    std::int64_t l_max() const { return radial.size(3) - 1; }
    std::int64_t n_angular() const { return radial.size(3) * radial.size(3); }
    std::int64_t width() const { return n_channels * radial.size(4); }

    template <class T> Basis<T> basis() const {
        return {radial.const_data_ptr<T>(),
                species_channel.const_data_ptr<std::int64_t>(),
                radial.size(1),
                int(l_max()),
                int(radial.size(4)),
                int(n_channels),
                T(cutoff),
                T(center_weight),
                all_columns(),
                &harmonic_constants<T>()};
    }
    // every degree reads every column
    Columns all_columns() const;

    // every member, in order; autograd.hpp keeps them in a context
    template <class Self, class Visit> static void visit(Self& self, const Visit& visit) {
        GraphTensors::visit(self, visit);
        visit(self.radial);
        visit(self.species_channel);
        visit(self.cutoff);
        visit(self.n_channels);
        visit(self.center_weight);
    }
};

// gathers the arguments, makes them contiguous and checks them
GraphArguments graph_arguments(const at::Tensor& edge_vectors, const at::Tensor& first_edge, const at::Tensor& neighbour,
                               const at::Tensor& centre, const at::Tensor& species, const at::Tensor& radial, double cutoff,
                               const at::Tensor& species_channel, std::int64_t n_channels, double center_weight);

// an index tensor of one dimension with values in [0, size), or throws with a sentence; `what` says what it counts
void check_index(const at::Tensor& index, const char* name, std::int64_t size, const char* what);

// offsets[n_centres + 1] that rise from 0 to n_edges, or throws with a sentence
void check_offsets(const at::Tensor& first_edge, std::int64_t n_centres, std::int64_t n_edges);

// a floating-point tensor on the CPU with the dtype of edge_vectors, or throws with a sentence
void check_float(const at::Tensor& tensor, const char* name, at::ScalarType type, const char* reference);

// degree l of a density [C, (l+1)^2, U], or throws with a sentence
int density_degree(const at::Tensor& density);

// a density as kernels read it, with a direction of a derivative unless that is undefined
template <class T> Density<T> density_of(const at::Tensor& value, const at::Tensor& tangent) {
    const bool along = tangent.defined();
    return {value.const_data_ptr<T>(), along ? tangent.const_data_ptr<T>() : nullptr, along, density_degree(value),
            int(value.size(2))};
}

// an undefined tensor stays undefined
inline at::Tensor contiguous(const at::Tensor& tensor) { return tensor.defined() ? tensor.contiguous() : tensor; }

// Typed memory of a tensor, of the type of the workspace at hand. Of an undefined one to write to: null.
template <class T> T* out(const at::Tensor& tensor, const T*) {
    return tensor.defined() ? tensor.mutable_data_ptr<T>() : nullptr;
}
template <class T> const T* in(const at::Tensor& tensor, const T*) { return tensor.const_data_ptr<T>(); }

// Memory that a thread keeps from one call to the next.
template <class T> T* thread_workspace(std::size_t count) {
    struct Release {
        void operator()(T* p) const { ::operator delete[](p, std::align_val_t(64)); }
    };
    thread_local std::unique_ptr<T, Release> memory;
    thread_local std::size_t size = 0;
    if (size < count) {
        memory.reset();
        memory.reset(static_cast<T*>(::operator new[](count * sizeof(T), std::align_val_t(64))));
        size = count;
    }
    return memory.get();
}

// work(begin, end, workspace) on pieces of [0, n), in parallel
template <class T, class Work> void over_centres(std::int64_t n, std::size_t workspace, const Work& work) {
    constexpr std::int64_t GRAIN = 8;
    at::parallel_for(0, n, GRAIN,
                     [&](std::int64_t begin, std::int64_t end) { work(begin, end, thread_workspace<T>(workspace)); });
}

}  // namespace rhopot
