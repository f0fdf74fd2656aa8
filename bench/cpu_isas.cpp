#include "cpu_isas.h"

#include "lowbit/lowbit.h"
#include "roofs/roofs.h"

namespace lowbit::bench {
namespace {

constexpr Isa kIsas[] = {
#if defined(__x86_64__)
    {LOWBIT_FEATURE_AVX2, roofs::avx2, roofs::read32},
    {LOWBIT_FEATURE_AVX2 | LOWBIT_FEATURE_AVX_VNNI, roofs::avxvnni, roofs::read32},
    {LOWBIT_FEATURE_AVX2 | LOWBIT_FEATURE_AVX512_VNNI, roofs::avx512vnni, roofs::read64},
    {LOWBIT_FEATURE_AVX2 | LOWBIT_FEATURE_AVX512_VNNI | LOWBIT_FEATURE_AMX_INT8, roofs::amx, roofs::read64},
#elif defined(__aarch64__)
    {LOWBIT_FEATURE_DOTPROD, roofs::dotprod, roofs::read16},
    {LOWBIT_FEATURE_DOTPROD | LOWBIT_FEATURE_I8MM, roofs::i8mm, roofs::read16},
#endif
};

}  // namespace

std::span<const Isa> isas() { return kIsas; }

}  // namespace lowbit::bench
