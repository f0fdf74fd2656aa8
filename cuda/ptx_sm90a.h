// PTX of sm_90a: copies in bulk by one thread, the barriers that count their bytes, and warpgroup matrix instructions.
// The emulator brings functions of the same names (tests/emulation/ptx_sm90a.h), as for ptx.h.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "ptx.h"
#include "tensor_map.h"

#if LOWBIT_EMULATION
#include "emulation/ptx_sm90a.h"
#else

// They trap elsewhere, where the kernel table chooses no kernel with them.
#if defined(__CUDA_ARCH__) && !defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define LOWBIT_SM90A(...) __trap()
#else
#define LOWBIT_SM90A(...) asm volatile(__VA_ARGS__)
#endif

namespace lowbit::core::cuda {

__device__ __forceinline__ uint32_t shared_address(const void* shared) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
}

// The block's dynamic shared memory from the first multiple of T's alignment on.
template <typename T>
__device__ __forceinline__ T* aligned_shared() {
  auto* start = dynamic_shared<unsigned char>();
  return reinterpret_cast<T*>(start + (0u - shared_address(start)) % alignof(T));
}

// Registers of each thread from here on, for the warpgroup that calls.
template <int kRegisters>
__device__ __forceinline__ void shrink_registers() {
  LOWBIT_SM90A("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ __forceinline__ void grow_registers() {
  LOWBIT_SM90A("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

// ---- Barriers in shared memory ---------------------------------------------------------------------------------------

// A phase ends when `arrivals` have arrived and all bytes that were announced have come.
__device__ __forceinline__ void barrier_init(uint64_t* barrier, int arrivals) {
  LOWBIT_SM90A("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}
// Shows initialised barriers to the copies.
__device__ __forceinline__ void barrier_init_done() {
  LOWBIT_SM90A("fence.mbarrier_init.release.cluster;" ::: "memory");
}
__device__ __forceinline__ void barrier_arrive(uint64_t* barrier) {
  LOWBIT_SM90A("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}
// Arrives, and announces bytes.
__device__ __forceinline__ void barrier_expect(uint64_t* barrier, int bytes) {
  LOWBIT_SM90A("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes)
               : "memory");
}
// Waits for the end of the phase of this parity; the first phase has parity 0.
__device__ __forceinline__ void barrier_wait(uint64_t* barrier, uint32_t parity) {
  LOWBIT_SM90A(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n"
      "}" ::"r"(shared_address(barrier)),
      "r"(parity)
      : "memory");
}

// ---- Copies from global to shared memory, by one thread --------------------------------------------------------------

// `bytes` in a row: a multiple of 16, as both addresses are.
__device__ __forceinline__ void copy_bulk(void* shared, const void* global, int bytes, uint64_t* barrier) {
  LOWBIT_SM90A("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                   shared_address(shared)),
               "l"(global), "r"(bytes), "r"(shared_address(barrier))
               : "memory");
}
// The box that starts at (x0, x1, x2, x3), to memory aligned to 1024: row r at 128 r, its 16-byte chunk c at place
// c ^ r % 8. Zeros come for what is outside of the tensor, and count as bytes.
__device__ __forceinline__ void copy_box(void* shared, const TensorMap* map, int x0, int x1, int x2, int x3,
                                         uint64_t* barrier) {
  LOWBIT_SM90A(
      "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4, %5}], "
      "[%6];" ::"r"(shared_address(shared)),
      "l"(map), "r"(x0), "r"(x1), "r"(x2), "r"(x3), "r"(shared_address(barrier))
      : "memory");
}

// ---- Warpgroup matrix instructions -----------------------------------------------------------------------------------

// Between writing registers and the first wgmma that reads them.
__device__ __forceinline__ void wgmma_fence() { LOWBIT_SM90A("wgmma.fence.sync.aligned;" ::: "memory"); }
// Closes a group.
__device__ __forceinline__ void wgmma_commit() { LOWBIT_SM90A("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Waits until at most kGroups groups are under way.
template <int kGroups>
__device__ __forceinline__ void wgmma_wait() {
  LOWBIT_SM90A("wgmma.wait_group.sync.aligned %0;" ::"n"(kGroups) : "memory");
}

// An operand in shared memory: rows of 128 bytes as copy_box leaves them, K along the row. `shared` may stand 32, 64 or
// 96 bytes into the rows, where a later step of K begins.
__device__ __forceinline__ uint64_t wgmma_operand(const void* shared) {
  constexpr uint64_t kLeading = uint64_t{1} << 16;         // not used with a swizzle
  constexpr uint64_t kStride = uint64_t{1024 >> 4} << 32;  // from eight rows to the next
  constexpr uint64_t kSwizzle128 = uint64_t{1} << 62;
  return (shared_address(shared) & 0x3ffff) >> 4 | kLeading | kStride | kSwizzle128;
}

// D += A B: A 64x32 signed bytes in the registers of four warps, 16 rows each as in mma_16x8x32; B 32x128 bytes, signed
// or not, its columns the rows of `b`; d[4j..4j+3] are D of columns 8j..8j+7 as in mma_16x8x32.
template <bool kSigned>
__device__ __forceinline__ void wgmma_64x128x32(int (&d)[64], const uint32_t (&a)[4], uint64_t b) {
#define LOWBIT_FOUR(i) "+r"(d[i]), "+r"(d[i + 1]), "+r"(d[i + 2]), "+r"(d[i + 3])
#define LOWBIT_SIXTEEN(i) LOWBIT_FOUR(i), LOWBIT_FOUR(i + 4), LOWBIT_FOUR(i + 8), LOWBIT_FOUR(i + 12)
#define LOWBIT_WGMMA(type)                                                                     \
  LOWBIT_SM90A("wgmma.mma_async.sync.aligned.m64n128k32.s32.s8." type                          \
               " {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"                      \
               "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"              \
               "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"              \
               "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63},"             \
               " {%64,%65,%66,%67}, %68, 1;"                                                   \
               : LOWBIT_SIXTEEN(0), LOWBIT_SIXTEEN(16), LOWBIT_SIXTEEN(32), LOWBIT_SIXTEEN(48) \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))
  if constexpr (kSigned) {
    LOWBIT_WGMMA("s8");
  } else {
    LOWBIT_WGMMA("u8");
  }
#undef LOWBIT_WGMMA
#undef LOWBIT_SIXTEEN
#undef LOWBIT_FOUR
}

}  // namespace lowbit::core::cuda

#undef LOWBIT_SM90A
#endif
