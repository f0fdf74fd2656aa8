// What kernels ask of the machine beyond CUDA C++; with ptx_sm90a.h the only place with PTX. The tests' emulator brings
// functions of the same names (tests/emulation/ptx.h), so that a host compiler can build every kernel.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#if LOWBIT_EMULATION
#include "emulation/ptx.h"
#else

// Instructions of sm_80 trap on the devices before it, where the kernel table chooses no kernel with them.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#define LOWBIT_SM80(...) __trap()
#else
#define LOWBIT_SM80(...) asm volatile(__VA_ARGS__)
#endif

namespace lowbit::core::cuda {

// The block's dynamic shared memory, as much as the launch asked for; aligned to 128 bytes.
template <typename T>
__device__ __forceinline__ T* dynamic_shared() {
  extern __shared__ __align__(128) unsigned char lowbit_dynamic_shared[];
  return reinterpret_cast<T*>(lowbit_dynamic_shared);
}

// ---- Loads and stores of global memory. Addresses are aligned to the size. -------------------------------------------

// 16 bytes that are read once by this kernel: past L1, and first to leave L2.
__device__ __forceinline__ uint4 load_once(const uint4* from) {
  uint4 v;
  asm("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
      : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
      : "l"(from));
  return v;
}
__device__ __forceinline__ float4 load_once(const float4* from) {
  float4 v;
  asm("ld.global.nc.L1::no_allocate.v4.f32 {%0,%1,%2,%3}, [%4];"
      : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
      : "l"(from));
  return v;
}

// The same word in a register of its own, once and for all. An operand of mma takes neighbouring registers from two
// 16-byte loads; left alone, ptxas moves them there again for every mma.
__device__ __forceinline__ uint32_t in_place(uint32_t word) {
  uint32_t moved;
  asm volatile("prmt.b32 %0, %1, %1, 0x3210;" : "=r"(moved) : "r"(word));
  return moved;
}

// Around a relaxed atomic: what other blocks wrote before theirs is seen after. (__threadfence() is sequentially
// consistent, and dearer.)
__device__ __forceinline__ void fence_device() { asm volatile("fence.acq_rel.gpu;" ::: "memory"); }

// ---- Integer dot products --------------------------------------------------------------------------------------------

// c + the dot product of four bytes each: signed weights with activations that are signed or not.
template <bool kSigned>
__device__ __forceinline__ int dot4(uint32_t weights, uint32_t activations, int c) {
  int d;
  if constexpr (kSigned) {
    asm("dp4a.s32.s32 %0, %1, %2, %3;" : "=r"(d) : "r"(weights), "r"(activations), "r"(c));
  } else {
    asm("dp4a.s32.u32 %0, %1, %2, %3;" : "=r"(d) : "r"(weights), "r"(activations), "r"(c));
  }
  return d;
}

// D += A B, A 16x32 signed bytes, B 32x8 bytes that are signed or not, D 16x8 sums (sm_80 and up). With lane = 4 g + t:
// a[0] holds A[g][4t..4t+3], a[1] A[g+8][4t..], a[2] A[g][16+4t..], a[3] A[g+8][16+4t..]; b0 holds B[4t..4t+3][g],
// b1 B[16+4t..][g]; d[0], d[1] are D[g][2t], D[g][2t+1], d[2], d[3] the same of row g+8.
template <bool kSigned>
__device__ __forceinline__ void mma_16x8x32(int (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  if constexpr (kSigned) {
    LOWBIT_SM80("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
                : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  } else {
    LOWBIT_SM80("mma.sync.aligned.m16n8k32.row.col.s32.s8.u8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
                : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
}

// ---- Asynchronous copies from global to shared memory (sm_80 and up) -------------------------------------------------

// Copies the first `valid` bytes of kBytes (4 or 16, the addresses' alignment) and writes zeros for the rest.
template <int kBytes>
__device__ __forceinline__ void copy_async(void* shared, const void* global, int valid) {
  const uint32_t to = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  if constexpr (kBytes == 16) {
    LOWBIT_SM80("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(valid) : "memory");
  } else {
    LOWBIT_SM80("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(to), "l"(global), "n"(kBytes), "r"(valid)
                : "memory");
  }
}
// Closes a group of this thread's copies.
__device__ __forceinline__ void copy_async_commit() { LOWBIT_SM80("cp.async.commit_group;" ::: "memory"); }
// Waits until at most kGroups of this thread's groups are under way; a barrier then shows the others their bytes.
template <int kGroups>
__device__ __forceinline__ void copy_async_wait() {
  LOWBIT_SM80("cp.async.wait_group %0;" ::"n"(kGroups) : "memory");
}

}  // namespace lowbit::core::cuda

#undef LOWBIT_SM80
#endif
