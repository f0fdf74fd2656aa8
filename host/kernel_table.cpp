#include "kernel_table.h"

#include <fmt/format.h>

#include "cpu/kernels.h"
#include "guard.h"
#include "reference/kernels.h"
#if LOWBIT_HAVE_CUDA
#include "../cuda/kernels.h"
#endif
#if LOWBIT_HAVE_VULKAN
#include "../vulkan/kernels.h"
#endif

namespace lowbit::core {
namespace {

constexpr FormatSet kNone;
constexpr LayoutSet kNoLayout;
constexpr FormatSet kCodes = {LOWBIT_INT8, LOWBIT_INT4, LOWBIT_UINT8};
constexpr FormatSet kFloats = {LOWBIT_F32};
constexpr FormatSet kAnyActivation = {LOWBIT_INT8, LOWBIT_INT4, LOWBIT_UINT8, LOWBIT_F32};
constexpr FormatSet kAnyWeight = {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY};
constexpr LayoutSet kPanel64 = {Layout::panel64}, kRows64 = {Layout::rows64};
constexpr LayoutSet kHostLayouts = {Layout::plain, Layout::panel64, Layout::rows64};

constexpr Backend cpu = Backend::cpu;
#if LOWBIT_X86
constexpr uint64_t AVX2 = LOWBIT_FEATURE_AVX2;
constexpr uint64_t AVXVNNI = AVX2 | LOWBIT_FEATURE_AVX_VNNI;
constexpr uint64_t AVX512 = AVX2 | LOWBIT_FEATURE_AVX512_VNNI;
constexpr uint64_t AMX = LOWBIT_FEATURE_AMX_INT8 | AVX512;
#elif LOWBIT_ARM
constexpr uint64_t DOTPROD = LOWBIT_FEATURE_DOTPROD;
constexpr uint64_t I8MM = DOTPROD | LOWBIT_FEATURE_I8MM;
#endif
#if LOWBIT_HAVE_CUDA || LOWBIT_HAVE_VULKAN
constexpr LayoutSet kPanel32 = {Layout::panel32};
constexpr int64_t kMany = INT64_MAX;  // rows
#endif
#if LOWBIT_HAVE_CUDA
constexpr FormatSet kInt8 = {LOWBIT_INT8};
constexpr Backend gpu = Backend::cuda;
constexpr uint64_t MMA = LOWBIT_FEATURE_MMA_INT8;
constexpr uint64_t WGMMA = LOWBIT_FEATURE_WGMMA;
constexpr int64_t kTile = 128 * 256, kSmallTile = 64 * 64;  // outputs
#endif
#if LOWBIT_HAVE_VULKAN
constexpr Backend vkn = Backend::vulkan;
constexpr uint64_t F32 = LOWBIT_FEATURE_EXACT_F32;
constexpr uint64_t DOT = LOWBIT_FEATURE_DOT_INT8;
constexpr uint64_t MAT = LOWBIT_FEATURE_COOPMAT_INT8;
using enum vulkan::Arithmetic;
using enum vulkan::Products;
#endif

// clang-format off
const KernelRow kTable[] = {
#if LOWBIT_HAVE_CUDA
  // name                                   backend             features  activations     weights     layouts       kernel                       rows, depth, box rows, outputs
  {"quantize_pack_a8_cuda",                 gpu,                0,        kCodes,         kNone,      kNoLayout,    &cuda::quantize_pack},
  {"pack_weight_wx_cuda",                   gpu,                0,        kNone,          kAnyWeight, kNoLayout,    &cuda::pack_weight},
  {"lowrank_projection_a8_w8_cuda_wgmma",   gpu,                WGMMA,    kCodes,         kInt8,      kPanel32,     &cuda::project_wgmma<LowrankProjection>,        65, kMany, kNarrowDepth, 65, kTile},
  {"lowrank_projection_a8_wx_cuda_mma_tiles",gpu,               MMA,      kCodes,         kAnyWeight, kPanel32,     &cuda::project_mma_tiles<LowrankProjection>,    33, kMany, kNarrowDepth, 0, kSmallTile},
  {"lowrank_projection_a8_wx_cuda_mma",     gpu,                MMA,      kCodes,         kAnyWeight, kPanel32,     &cuda::project_mma<LowrankProjection>,          2},
  {"lowrank_projection_a8_wx_cuda_dp4a_tiles",gpu,              0,        kCodes,         kAnyWeight, kPanel32,     &cuda::project_dp4a_tiles<LowrankProjection>,   17, kMany, kNarrowDepth},
  {"lowrank_projection_a8_wx_cuda_dp4a",    gpu,                0,        kCodes,         kAnyWeight, kPanel32,     &cuda::project_dp4a<LowrankProjection>},
  {"lowrank_projection_wx_cuda_scalar",     gpu,                0,        kAnyActivation, kAnyWeight, kPanel32,     &cuda::project_scalar<LowrankProjection>},
  {"decoder_tail_a8_w8_cuda_wgmma",         gpu,                WGMMA,    kCodes,         kInt8,      kPanel32,     &cuda::project_wgmma<DecoderTail>,              65, kMany, kNarrowDepth, 65, kTile},
  {"decoder_tail_a8_wx_cuda_mma_tiles",     gpu,                MMA,      kCodes,         kAnyWeight, kPanel32,     &cuda::project_mma_tiles<DecoderTail>,    33, kMany, kNarrowDepth, 0, kSmallTile},
  {"decoder_tail_a8_wx_cuda_mma",           gpu,                MMA,      kCodes,         kAnyWeight, kPanel32,     &cuda::project_mma<DecoderTail>,          2},
  {"decoder_tail_a8_wx_cuda_dp4a_tiles",    gpu,                0,        kCodes,         kAnyWeight, kPanel32,     &cuda::project_dp4a_tiles<DecoderTail>,   17, kMany, kNarrowDepth},
  {"decoder_tail_a8_wx_cuda_sparse",        gpu,                0,        kCodes,         kAnyWeight, kPanel32,     &cuda::project_sparse<DecoderTail>,       1, 1},
  {"decoder_tail_a8_wx_cuda_dp4a",          gpu,                0,        kCodes,         kAnyWeight, kPanel32,     &cuda::project_dp4a<DecoderTail>},
  {"decoder_tail_wx_cuda_scalar",           gpu,                0,        kAnyActivation, kAnyWeight, kPanel32,     &cuda::project_scalar<DecoderTail>},
  {"rho_compress_wx_cuda",                  gpu,                0,        kNone,          kAnyWeight, kNoLayout,    &cuda::rho_compress},
  {"rho_expand_wx_cuda",                    gpu,                0,        kNone,          kAnyWeight, kNoLayout,    &cuda::rho_expand},
#endif
#if LOWBIT_HAVE_VULKAN
  // name                                              backend, features activations     weights     layouts    kernel, rows, depth
  {"quantize_pack_a8_vulkan_float",                   vkn, F32,      kCodes,         kNone,      kNoLayout, &vulkan::quantize_pack<float32>},
  {"quantize_pack_a8_vulkan_integer",                 vkn, 0,        kCodes,         kNone,      kNoLayout, &vulkan::quantize_pack<integer>},
  {"pack_weight_wx_vulkan_float",                     vkn, F32,      kNone,          kAnyWeight, kNoLayout, &vulkan::pack_weight<float32>},
  {"pack_weight_wx_vulkan_integer",                   vkn, 0,        kNone,          kAnyWeight, kNoLayout, &vulkan::pack_weight<integer>},
  {"lowrank_projection_a8_wx_vulkan_coopmat_float",   vkn, MAT | F32, kCodes,         kAnyWeight, kPanel32,  &vulkan::project_coopmat<LowrankProjection, float32>, 33, kMany, kNarrowDepth},
  {"lowrank_projection_a8_wx_vulkan_coopmat_integer", vkn, MAT,      kCodes,         kAnyWeight, kPanel32,  &vulkan::project_coopmat<LowrankProjection, integer>, 33, kMany, kNarrowDepth},
  {"lowrank_projection_a8_wx_vulkan_tiles_dot_float", vkn, DOT | F32, kCodes,         kAnyWeight, kPanel32,  &vulkan::project_tiles<LowrankProjection, dot, float32>, 33, kMany, kNarrowDepth},
  {"lowrank_projection_a8_wx_vulkan_tiles_dot_integer", vkn, DOT,      kCodes,         kAnyWeight, kPanel32,  &vulkan::project_tiles<LowrankProjection, dot, integer>, 33, kMany, kNarrowDepth},
  {"lowrank_projection_a8_wx_vulkan_tiles_plain_float", vkn, F32,      kCodes,         kAnyWeight, kPanel32,  &vulkan::project_tiles<LowrankProjection, plain, float32>, 33, kMany, kNarrowDepth},
  {"lowrank_projection_a8_wx_vulkan_tiles_plain_integer", vkn, 0,        kCodes,         kAnyWeight, kPanel32,  &vulkan::project_tiles<LowrankProjection, plain, integer>, 33, kMany, kNarrowDepth},
  {"lowrank_projection_a8_wx_vulkan_rows_dot_float",  vkn, DOT | F32, kCodes,         kAnyWeight, kPanel32,  &vulkan::project_rows<LowrankProjection, dot, float32>},
  {"lowrank_projection_a8_wx_vulkan_rows_dot_integer", vkn, DOT,      kCodes,         kAnyWeight, kPanel32,  &vulkan::project_rows<LowrankProjection, dot, integer>},
  {"lowrank_projection_a8_wx_vulkan_rows_plain_float", vkn, F32,      kCodes,         kAnyWeight, kPanel32,  &vulkan::project_rows<LowrankProjection, plain, float32>},
  {"lowrank_projection_a8_wx_vulkan_rows_plain_integer", vkn, 0,        kCodes,         kAnyWeight, kPanel32,  &vulkan::project_rows<LowrankProjection, plain, integer>},
  {"lowrank_projection_f32_wx_vulkan_float",          vkn, F32,      kFloats,        kAnyWeight, kPanel32,  &vulkan::project_f32<LowrankProjection, float32>},
  {"lowrank_projection_f32_wx_vulkan_integer",        vkn, 0,        kFloats,        kAnyWeight, kPanel32,  &vulkan::project_f32<LowrankProjection, integer>},
  {"decoder_tail_a8_wx_vulkan_coopmat_float",         vkn, MAT | F32, kCodes,         kAnyWeight, kPanel32,  &vulkan::project_coopmat<DecoderTail, float32>, 33, kMany, kNarrowDepth},
  {"decoder_tail_a8_wx_vulkan_coopmat_integer",       vkn, MAT,      kCodes,         kAnyWeight, kPanel32,  &vulkan::project_coopmat<DecoderTail, integer>, 33, kMany, kNarrowDepth},
  {"decoder_tail_a8_wx_vulkan_tiles_dot_float",       vkn, DOT | F32, kCodes,         kAnyWeight, kPanel32,  &vulkan::project_tiles<DecoderTail, dot, float32>, 33, kMany, kNarrowDepth},
  {"decoder_tail_a8_wx_vulkan_tiles_dot_integer",     vkn, DOT,      kCodes,         kAnyWeight, kPanel32,  &vulkan::project_tiles<DecoderTail, dot, integer>, 33, kMany, kNarrowDepth},
  {"decoder_tail_a8_wx_vulkan_tiles_plain_float",     vkn, F32,      kCodes,         kAnyWeight, kPanel32,  &vulkan::project_tiles<DecoderTail, plain, float32>, 33, kMany, kNarrowDepth},
  {"decoder_tail_a8_wx_vulkan_tiles_plain_integer",   vkn, 0,        kCodes,         kAnyWeight, kPanel32,  &vulkan::project_tiles<DecoderTail, plain, integer>, 33, kMany, kNarrowDepth},
  {"decoder_tail_a8_wx_vulkan_sparse_dot_float",      vkn, DOT | F32, kCodes,         kAnyWeight, kPanel32,  &vulkan::project_sparse<DecoderTail, dot, float32>, 1, 1},
  {"decoder_tail_a8_wx_vulkan_sparse_dot_integer",    vkn, DOT,      kCodes,         kAnyWeight, kPanel32,  &vulkan::project_sparse<DecoderTail, dot, integer>, 1, 1},
  {"decoder_tail_a8_wx_vulkan_sparse_plain_float",    vkn, F32,      kCodes,         kAnyWeight, kPanel32,  &vulkan::project_sparse<DecoderTail, plain, float32>, 1, 1},
  {"decoder_tail_a8_wx_vulkan_sparse_plain_integer",  vkn, 0,        kCodes,         kAnyWeight, kPanel32,  &vulkan::project_sparse<DecoderTail, plain, integer>, 1, 1},
  {"decoder_tail_a8_wx_vulkan_rows_dot_float",        vkn, DOT | F32, kCodes,         kAnyWeight, kPanel32,  &vulkan::project_rows<DecoderTail, dot, float32>},
  {"decoder_tail_a8_wx_vulkan_rows_dot_integer",      vkn, DOT,      kCodes,         kAnyWeight, kPanel32,  &vulkan::project_rows<DecoderTail, dot, integer>},
  {"decoder_tail_a8_wx_vulkan_rows_plain_float",      vkn, F32,      kCodes,         kAnyWeight, kPanel32,  &vulkan::project_rows<DecoderTail, plain, float32>},
  {"decoder_tail_a8_wx_vulkan_rows_plain_integer",    vkn, 0,        kCodes,         kAnyWeight, kPanel32,  &vulkan::project_rows<DecoderTail, plain, integer>},
  {"decoder_tail_f32_wx_vulkan_float",                vkn, F32,      kFloats,        kAnyWeight, kPanel32,  &vulkan::project_f32<DecoderTail, float32>},
  {"decoder_tail_f32_wx_vulkan_integer",              vkn, 0,        kFloats,        kAnyWeight, kPanel32,  &vulkan::project_f32<DecoderTail, integer>},
  {"rho_compress_wx_vulkan_float",                    vkn, F32,      kNone,          kAnyWeight, kNoLayout, &vulkan::rho_compress<float32>},
  {"rho_compress_wx_vulkan_integer",                  vkn, 0,        kNone,          kAnyWeight, kNoLayout, &vulkan::rho_compress<integer>},
  {"rho_expand_wx_vulkan_float",                      vkn, F32,      kNone,          kAnyWeight, kNoLayout, &vulkan::rho_expand<float32>},
  {"rho_expand_wx_vulkan_integer",                    vkn, 0,        kNone,          kAnyWeight, kNoLayout, &vulkan::rho_expand<integer>},
#endif
  // name                                   backend             features  activations     weights     layouts       kernel
#if LOWBIT_X86
  // Products of 9 rows, reckoned in cycles for 64 steps of 64 columns: vpdpbusd 288, of AMX 64 and as many for 16 rows.
  {"lowrank_projection_a8_wx_cpu_amx_tiles",      cpu, AMX,     kCodes,     kAnyWeight, kPanel64,   &amx::lowrank_projection_tiles, 9},
  {"decoder_tail_a8_wx_cpu_amx_tiles",            cpu, AMX,     kCodes,     kAnyWeight, kRows64,    &amx::decoder_tail_tiles, 9},
  {"lowrank_projection_a8_wx_cpu_avx512vnni",     cpu, AVX512,  kCodes,     kAnyWeight, kPanel64,   &avx512vnni::lowrank_projection},
  {"decoder_tail_a8_wx_cpu_avx512vnni_sparse",    cpu, AVX512,  kCodes,     kAnyWeight, kRows64,    &avx512vnni::decoder_tail_sparse, 1, 1},
  {"decoder_tail_a8_wx_cpu_avx512vnni_tiles",     cpu, AVX512,  kCodes,     kAnyWeight, kRows64,    &avx512vnni::decoder_tail_tiles},
  {"lowrank_projection_a8_wx_cpu_avxvnni",        cpu, AVXVNNI, kCodes,     kAnyWeight, kPanel64,   &avxvnni::lowrank_projection},
  {"decoder_tail_a8_wx_cpu_avxvnni_sparse",       cpu, AVXVNNI, kCodes,     kAnyWeight, kRows64,    &avxvnni::decoder_tail_sparse, 1, 1},
  {"decoder_tail_a8_wx_cpu_avxvnni_tiles",        cpu, AVXVNNI, kCodes,     kAnyWeight, kRows64,    &avxvnni::decoder_tail_tiles},
  {"quantize_pack_a8_cpu_avx2",                   cpu, AVX2,    kCodes,     kNone,      kNoLayout,  &avx2::quantize_pack},
  {"lowrank_projection_a8_wx_cpu_avx2",           cpu, AVX2,    kCodes,     kAnyWeight, kPanel64,   &avx2::lowrank_projection},
  {"lowrank_projection_f32_wx_cpu_avx2",          cpu, AVX2,    kFloats,    kAnyWeight, kPanel64,   &avx2::lowrank_projection_f32},
  {"decoder_tail_a8_wx_cpu_avx2_sparse",          cpu, AVX2,    kCodes,     kAnyWeight, kRows64,    &avx2::decoder_tail_sparse, 1, 1},
  {"decoder_tail_a8_wx_cpu_avx2_tiles",           cpu, AVX2,    kCodes,     kAnyWeight, kRows64,    &avx2::decoder_tail_tiles},
  {"decoder_tail_f32_wx_cpu_avx2",                cpu, AVX2,    kFloats,    kAnyWeight, kRows64,    &avx2::decoder_tail_f32},
  {"rho_compress_wx_cpu_avx2",                    cpu, AVX2,    kNone,      kAnyWeight, kNoLayout,  &avx2::rho_compress},
  {"rho_expand_wx_cpu_avx2",                      cpu, AVX2,    kNone,      kAnyWeight, kNoLayout,  &avx2::rho_expand},
#elif LOWBIT_ARM
  {"lowrank_projection_a8_wx_cpu_i8mm_tiles",     cpu, I8MM,    kCodes,     kAnyWeight, kPanel64,   &i8mm::lowrank_projection_tiles, 9},
  {"decoder_tail_a8_wx_cpu_i8mm_tiles",           cpu, I8MM,    kCodes,     kAnyWeight, kRows64,    &i8mm::decoder_tail_tiles, 2},
  {"quantize_pack_a8_cpu_dotprod",                cpu, DOTPROD, kCodes,     kNone,      kNoLayout,  &dotprod::quantize_pack},
  {"lowrank_projection_a8_wx_cpu_dotprod",        cpu, DOTPROD, kCodes,     kAnyWeight, kPanel64,   &dotprod::lowrank_projection},
  {"lowrank_projection_f32_wx_cpu_dotprod",       cpu, DOTPROD, kFloats,    kAnyWeight, kPanel64,   &dotprod::lowrank_projection_f32},
  {"decoder_tail_a8_wx_cpu_dotprod_sparse",       cpu, DOTPROD, kCodes,     kAnyWeight, kRows64,    &dotprod::decoder_tail_sparse, 1, 1},
  {"decoder_tail_a8_wx_cpu_dotprod_tiles",        cpu, DOTPROD, kCodes,     kAnyWeight, kRows64,    &dotprod::decoder_tail_tiles},
  {"decoder_tail_f32_wx_cpu_dotprod",             cpu, DOTPROD, kFloats,    kAnyWeight, kRows64,    &dotprod::decoder_tail_f32},
  {"rho_compress_wx_cpu_dotprod",                 cpu, DOTPROD, kNone,      kAnyWeight, kNoLayout,  &dotprod::rho_compress},
  {"rho_expand_wx_cpu_dotprod",                   cpu, DOTPROD, kNone,      kAnyWeight, kNoLayout,  &dotprod::rho_expand},
#endif
  // The scalar kernels read every layout, so that no barred row and no missing feature leaves the cpu without an
  // answer.
  {"quantize_pack_a8_cpu_scalar",           cpu,                0,        kCodes,         kNone,      kNoLayout,    &reference::quantize_pack},
  {"pack_weight_wx_cpu_scalar",             cpu,                0,        kNone,          kAnyWeight, kNoLayout,    &reference::pack_weight},
  {"lowrank_projection_wx_cpu_scalar",      cpu,                0,        kAnyActivation, kAnyWeight, kHostLayouts, &reference::lowrank_projection},
  {"decoder_tail_wx_cpu_scalar",            cpu,                0,        kAnyActivation, kAnyWeight, kHostLayouts, &reference::decoder_tail},
  {"rho_compress_wx_cpu_scalar",            cpu,                0,        kNone,          kAnyWeight, kNoLayout,    &reference::rho_compress},
  {"rho_expand_wx_cpu_scalar",              cpu,                0,        kNone,          kAnyWeight, kNoLayout,    &reference::rho_expand},

  {"quantize_pack_a8_reference",            Backend::reference, 0,        kCodes,         kNone,      kNoLayout,    &reference::quantize_pack},
  {"pack_weight_wx_reference",              Backend::reference, 0,        kNone,          kAnyWeight, kNoLayout,    &reference::pack_weight},
  {"lowrank_projection_wx_reference",       Backend::reference, 0,        kAnyActivation, kAnyWeight, kHostLayouts, &reference::lowrank_projection},
  {"decoder_tail_wx_reference",             Backend::reference, 0,        kAnyActivation, kAnyWeight, kHostLayouts, &reference::decoder_tail},
  {"rho_compress_wx_reference",             Backend::reference, 0,        kNone,          kAnyWeight, kNoLayout,    &reference::rho_compress},
  {"rho_expand_wx_reference",               Backend::reference, 0,        kNone,          kAnyWeight, kNoLayout,    &reference::rho_expand},
};
// clang-format on

// A request that leaves a format or layout open matches every row.
template <typename Enum>
bool matches(Set<Enum> row, std::optional<Enum> wanted) {
  return !wanted || row.contains(*wanted);
}

// The first of a kernel's limits that a size is beyond.
struct Limit {
  const char* takes;  // NULL: of none
  int64_t number;
};
Limit exceeded(const Device& device, const KernelRow& kernel, const ProjectionSize& size) {
  if (size.rows != 0 && size.rows < kernel.min_rows) return {"takes {} rows and more", kernel.min_rows};
  if (size.rows > kernel.max_rows) return {"takes no more rows than {}", kernel.max_rows};
  if (size.depth > kernel.max_depth) return {"takes sums of no more products than {}", kernel.max_depth};
  if (size.rows != 0 && size.box_rows < kernel.min_box_rows)
    return {"takes {} rows and more that are contiguous and of a multiple of 16 bytes", kernel.min_box_rows};
  if (kernel.min_outputs == 0 || size.outputs == 0) return {nullptr, 0};
  const int64_t min_outputs = kernel.min_outputs * device.multiprocessors();
  if (size.outputs < min_outputs) return {"takes {} outputs and more", min_outputs};
  return {nullptr, 0};
}

// Whether the row takes the request's formats, layout and size.
bool fits(const Device& device, const KernelRow& kernel, const Request& request) {
  return matches(kernel.activations, request.activations) && matches(kernel.weights, request.weights) &&
         matches(kernel.layouts, request.layout) &&
         (!request.size || exceeded(device, kernel, *request.size).takes == nullptr);
}

// The sentence that no row of the device's backend can serve, with why not.
Status unserved(const Device& device, const Request& request) {
  std::string reasons;
  bool is_barred = false;
  for (const KernelRow& row : device.kernels()) {
    if (row.backend != device.backend() || !is_candidate(device, row, request) || is_usable(device, row)) continue;
    reasons += fmt::format("{} {} ({})", reasons.empty() ? ":" : ",", row.name, why_not(device, row));
    is_barred |= device.state(row) == KernelState::barred;
  }
  return {LOWBIT_UNSUPPORTED, is_barred ? LOWBIT_FALLBACK_PARITY_MISMATCH : LOWBIT_FALLBACK_FEATURE_MISSING,
          fmt::format("{}: the {} backend has no kernel that can serve it{}", name_of(request.operation),
                      device.info().backend, reasons.empty() ? " and falls back only when allowed" : reasons)};
}

}  // namespace

std::span<const KernelRow> kernel_table() { return kTable; }

bool may_serve_on(const Device& device, const KernelRow& kernel) {
  const bool fills_in =
      kernel.backend == Backend::reference && device.allow_fallback() && device.info().host_memory != 0;
  return kernel.backend == device.backend() || fills_in;
}

bool has_features(const Device& device, const KernelRow& kernel) {
  return (kernel.features & ~device.info().features) == 0;
}

bool is_candidate(const Device& device, const KernelRow& kernel, const Request& request) {
  return may_serve_on(device, kernel) && kernel.operation() == request.operation && fits(device, kernel, request);
}

bool is_usable(const Device& device, const KernelRow& kernel) {
  return has_features(device, kernel) && device.state(kernel) != KernelState::barred;
}

std::string size_limit(const Device& device, const KernelRow& kernel, const ProjectionSize& size) {
  const Limit limit = exceeded(device, kernel, size);
  return limit.takes == nullptr ? "" : fmt::format(fmt::runtime(limit.takes), limit.number);
}

std::string why_not(const Device& device, const KernelRow& kernel) {
  if (device.state(kernel) == KernelState::barred) return guard_report(device, kernel);
  const uint64_t missing = kernel.features & ~device.info().features;
  std::string reason = "feature_missing:";
  for (uint64_t bit = 1; bit != 0 && bit <= missing; bit <<= 1) {
    if ((missing & bit) != 0) reason += fmt::format(" {}", lowbit_feature_name(bit));
  }
  return reason;
}

Status choose(const Device& device, const Request& request, const KernelRow** kernel) {
  for (const KernelRow* candidate : device.kernels(request.operation)) {
    if (fits(device, *candidate, request) && device.state(*candidate) != KernelState::barred) {
      *kernel = candidate;
      return {};
    }
  }
  return unserved(device, request);
}

void note_fallback(Stream& stream, const KernelRow& kernel) {
  const Status why = unserved(stream.device(), {kernel.operation(), {}, {}, {}});
  stream.fallback = {why.fallback_reason(), why.sentence()};
}

Status check_ready(const Stream& stream, const KernelRow& kernel) {
  const Device& device = stream.device();
  if (device.guard() == LOWBIT_GUARD_OFF || device.state(kernel) == KernelState::passed || !stream.is_capturing()) {
    return {};
  }
  return {LOWBIT_NOT_READY,
          fmt::format(
              "{}: the parity guard has not tested {} and cannot while the stream is being captured: warm up before",
              name_of(kernel.operation()), kernel.name)};
}

}  // namespace lowbit::core

const char* lowbit_feature_name(uint64_t feature) {
  switch (feature) {
    case LOWBIT_FEATURE_AVX2:
      return "avx2";
    case LOWBIT_FEATURE_MMA_INT8:
      return "mma_int8";
    case LOWBIT_FEATURE_WGMMA:
      return "wgmma";
    case LOWBIT_FEATURE_DOT_INT8:
      return "dot_int8";
    case LOWBIT_FEATURE_EXACT_F32:
      return "exact_f32";
    case LOWBIT_FEATURE_COOPMAT_INT8:
      return "coopmat_int8";
    case LOWBIT_FEATURE_AVX_VNNI:
      return "avxvnni";
    case LOWBIT_FEATURE_AVX512_VNNI:
      return "avx512vnni";
    case LOWBIT_FEATURE_AMX_INT8:
      return "amx";
    case LOWBIT_FEATURE_DOTPROD:
      return "dotprod";
    case LOWBIT_FEATURE_I8MM:
      return "i8mm";
    default:
      return nullptr;
  }
}
