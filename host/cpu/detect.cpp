#include "cpu/detect.h"

#include "lowbit/lowbit.h"

#if LOWBIT_X86
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif LOWBIT_ARM
#include <sys/auxv.h>
#endif

namespace lowbit::core::cpu {

#if LOWBIT_X86

namespace {

struct Registers {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};
Registers cpuid(unsigned leaf, unsigned subleaf) {
  Registers r;
  return __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx) != 0 ? r : Registers{};
}
constexpr bool bit(unsigned word, int index) { return (word >> index & 1) != 0; }

// Which registers the system saves: bits of XCR0.
constexpr uint64_t kYmm = 0x6, kZmm = 0xe6, kTiles = 0x60000;
uint64_t saved_registers() {
  if (!bit(cpuid(1, 0).ecx, 27)) return 0;  // OSXSAVE
  unsigned low = 0, high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

// Linux gives a process the 8 KiB of tile registers only on request.
bool may_use_tiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

uint64_t detect_features() {
  const Registers extended = cpuid(7, 0), more = cpuid(7, 1);
  const uint64_t saved = saved_registers();
  const auto saves = [&](uint64_t registers) { return (saved & registers) == registers; };
  uint64_t features = 0;
  if (!saves(kYmm) || !bit(extended.ebx, 5)) return features;
  features |= LOWBIT_FEATURE_AVX2;
  if (bit(more.eax, 4)) features |= LOWBIT_FEATURE_AVX_VNNI;
  const bool f = bit(extended.ebx, 16), dq = bit(extended.ebx, 17), bw = bit(extended.ebx, 30),
             vl = bit(extended.ebx, 31), vnni = bit(extended.ecx, 11);
  if (!saves(kZmm) || !f || !dq || !bw || !vl || !vnni) return features;
  features |= LOWBIT_FEATURE_AVX512_VNNI;
  const bool amx_tile = bit(extended.edx, 24), amx_int8 = bit(extended.edx, 25);
  if (saves(kTiles) && amx_tile && amx_int8 && may_use_tiles()) features |= LOWBIT_FEATURE_AMX_INT8;
  return features;
}

#elif LOWBIT_ARM

uint64_t detect_features() {
  constexpr unsigned long kDotProduct = 1ul << 20, kI8mm = 1ul << 13;  // HWCAP_ASIMDDP, HWCAP2_I8MM
  if ((getauxval(AT_HWCAP) & kDotProduct) == 0) return 0;
  return LOWBIT_FEATURE_DOTPROD | ((getauxval(AT_HWCAP2) & kI8mm) != 0 ? LOWBIT_FEATURE_I8MM : 0);
}

#else

uint64_t detect_features() { return 0; }

#endif

}  // namespace lowbit::core::cpu
