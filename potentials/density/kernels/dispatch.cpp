#include "dispatch.hpp"

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace rhopot {
namespace {

constexpr InstructionSet ALL[] = {InstructionSet::baseline, InstructionSet::v3, InstructionSet::v4};

InstructionSet supported() {
#ifdef RHOPOT_X86_VARIANTS
    __builtin_cpu_init();
    const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    const bool v4 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512cd");
    return v3 && v4 ? InstructionSet::v4 : v3 ? InstructionSet::v3 : InstructionSet::baseline;
#else
    return InstructionSet::baseline;
#endif
}

InstructionSet wanted() {
    const InstructionSet most = supported();
    const char* variable = std::getenv("RHOPOT_KERNELS");
    const std::string wish = variable == nullptr ? "" : variable;
    if (wish.empty()) return most;
    for (const InstructionSet set : ALL) {
        if (wish == name_of(set)) return set < most ? set : most;
    }
    throw std::invalid_argument("RHOPOT_KERNELS must be baseline, v3 or v4, got '" + wish +
                                "'; unset it for the most that the processor has");
}

}  // namespace

const char* name_of(InstructionSet set) {
    constexpr const char* names[] = {"baseline", "v3", "v4"};
    return names[int(set)];
}

InstructionSet instruction_set() {
    static const InstructionSet chosen = wanted();
    return chosen;
}

}  // namespace rhopot
