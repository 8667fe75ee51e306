// The choice of an instruction set. Kernels are compiled once for each (RHOPOT_VARIANT names it and their namespace), without
// torch; the most that the processor has is used. A family's header declares its set of kernels, a struct of function pointers,
// and the function that hands out the chosen one:
//
//   RHOPOT_IN_EVERY_VARIANT(template <class T> const FamilyKernels<T>& family_kernels())
//   template <class T> const FamilyKernels<T>& family_kernels() { return RHOPOT_CHOSEN(family_kernels<T>)(); }
//
// and its variant.cpp defines the function in namespace rhopot::RHOPOT_VARIANT.
#pragma once

namespace rhopot {

enum class InstructionSet { baseline, v3, v4 };

// Chosen once; RHOPOT_KERNELS=baseline|v3|v4 in the environment asks for a lesser one. Throws std::invalid_argument for another
// name.
InstructionSet instruction_set();
const char* name_of(InstructionSet set);

template <class Function> Function* choose(Function* baseline, Function* v3, Function* v4) {
    switch (instruction_set()) {
        case InstructionSet::v4: return v4;
        case InstructionSet::v3: return v3;
        default: return baseline;
    }
}

// clang-format off
#ifdef RHOPOT_X86_VARIANTS
#define RHOPOT_IN_EVERY_VARIANT(declaration)      \
    namespace baseline { declaration; }           \
    namespace v3 { declaration; }                 \
    namespace v4 { declaration; }
#define RHOPOT_CHOSEN(function) ::rhopot::choose(baseline::function, v3::function, v4::function)
#else
#define RHOPOT_IN_EVERY_VARIANT(declaration) namespace baseline { declaration; }
#define RHOPOT_CHOSEN(function) ::rhopot::choose(baseline::function, baseline::function, baseline::function)
#endif
// clang-format on

}  // namespace rhopot
