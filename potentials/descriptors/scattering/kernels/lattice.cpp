#include "lattice.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

namespace rhopot {
namespace {

struct AxisTable {
    std::vector<std::int64_t> factors;
    std::vector<double> roots;

    explicit AxisTable(std::int64_t n) : roots(std::size_t(2 * n)) {
        for (std::int64_t k = 0; k < n; ++k) {
            const double angle = 2 * M_PI * double(k) / double(n);
            roots[std::size_t(2 * k)] = std::cos(angle);
            roots[std::size_t(2 * k + 1)] = std::sin(angle);
        }
        for (const std::int64_t radix : {4, 5, 3, 2}) {
            for (; n % radix == 0; n /= radix) factors.push_back(radix);
        }
        for (std::int64_t prime = 7; n > 1; prime += 2) {
            for (; n % prime == 0; n /= prime) factors.push_back(prime);
        }
    }
};

// tables are made once for each length, and kept
Axis axis_of(std::int64_t n) {
    static std::mutex mutex;
    static std::map<std::int64_t, std::unique_ptr<const AxisTable>> tables;
    const std::lock_guard<std::mutex> lock(mutex);
    auto& table = tables[n];
    if (!table) table = std::make_unique<const AxisTable>(n);
    return {n, std::int64_t(table->factors.size()), table->factors.data(), table->roots.data()};
}

constexpr std::int64_t PACK = 8;           // numbers in the widest pack
constexpr std::size_t ALIGNMENT = 64;      // bytes
constexpr std::int64_t ALIASING = 4096 / 8;  // numbers between places that share a set of the first-level cache

constexpr std::int64_t CACHED = 16384 / 8;   // numbers of a batch of lines, three of which the first-level cache shall hold

struct Free {
    void operator()(double* memory) const { ::operator delete(memory, std::align_val_t(ALIGNMENT)); }
};

}  // namespace

Lattice lattice_of(const std::array<std::int64_t, 3>& points, std::int64_t lanes) {
    Lattice g{};
    for (std::size_t axis = 0; axis < 3; ++axis) g.axes[axis] = axis_of(points[axis]);
    g.half = points[2] / 2 + 1;
    g.band = (points[2] + 1) / 2;
    g.imaginary = (g.half + PACK - 1) / PACK * PACK;
    g.row = 2 * g.imaginary;
    g.plane = points[1] * g.row;
    if (g.plane % ALIASING == 0) g.plane += PACK;
    g.size = points[0] * g.plane;
    const std::int64_t line = (std::max({points[0], points[1], points[2]}) + 1) * 2 * lanes;
    g.lines = std::clamp<std::int64_t>(CACHED / line, 1, 8);
    g.scratch = g.lines * line;
    return g;
}

Workspace::Workspace(const Lattice& lattice, std::int64_t n_spectra)
    : size_(lattice.size), imaginary_(lattice.imaginary), n_spectra_(n_spectra) {
    thread_local std::unique_ptr<double, Free> memory;
    thread_local std::int64_t held = 0;
    const std::int64_t wanted = n_spectra * lattice.size + 3 * lattice.scratch;
    if (held < wanted) {
        memory.reset();
        held = 0;
        memory.reset(static_cast<double*>(::operator new(std::size_t(wanted) * sizeof(double), std::align_val_t(ALIGNMENT))));
        held = wanted;
        std::fill(memory.get(), memory.get() + wanted, 0.0);
    }
    memory_ = memory.get();
}

}  // namespace rhopot
