/* lowbit: compute kernels for low-bit neural networks, the same bits on every backend.
 *
 * This header is the only binary boundary of the library; lowbit.hpp is a header-only C++ layer over it.
 * What each operation computes, bit for bit, is written down in docs/numerics.md; the byte diagrams of every packed
 * format are in docs/formats.md.
 *
 * Conventions
 *   Status   Every call that can fail returns a lowbit_status. lowbit_last_error() then holds one sentence, of the
 *            calling thread, that names the argument, what it was and what it may be. Nothing prints, exits or aborts,
 *            no C++ exception crosses this boundary, and a call that fails on its arguments has written nothing.
 *   Structs  A struct that may grow starts with `struct_size`: set it to sizeof and zero the rest. Zero is the default
 *            of every field unless its comment says otherwise. The size of an earlier version leaves the later fields
 *            zero, and of a struct that is filled in, unwritten. Of a later version's, up to 4096, the bytes that this
 *            version does not know must be zero, and stay so. Structs without it never grow: lowbit_tensor and
 *            lowbit_activations too, which others hold by value.
 *   Memory   `data` of a tensor is memory of the stream's device: a host pointer for the backends `reference` and
 *            `cpu`, a device pointer for `cuda`, a VkBuffer for `vulkan`. It is the caller's own, or a lowbit_buffer's.
 *            Outputs must not overlap inputs or each other.
 *            A VkBuffer of the caller's has the usages STORAGE_BUFFER, TRANSFER_SRC and TRANSFER_DST and a multiple of
 *            4 bytes.
 *   Streams  A stream is an in-order queue used by one thread at a time; devices may be shared freely. Streams are not
 *            ordered among each other: synchronise one before another reads or overwrites its data. A call enqueues
 *            work (host backends run it at once) and operands must live until it has run. LOWBIT_OK says that work was
 *            enqueued; a fault that shows later is returned by the stream's next call or lowbit_stream_synchronize().
 *            A fault of the device stays; data that a kernel had to refuse is told once, by synchronize.
 *   Floats   Results do not depend on the caller's rounding mode or flush-to-zero setting; both stay as they were.
 */
#ifndef LOWBIT_LOWBIT_H
#define LOWBIT_LOWBIT_H

#include <stddef.h>
#include <stdint.h>

/* What a shared library exports. */
#if defined(LOWBIT_SHARED) && defined(_WIN32)
#define LOWBIT_API __declspec(dllimport)
#elif defined(__GNUC__)
#define LOWBIT_API __attribute__((visibility("default")))
#else
#define LOWBIT_API
#endif

/* Enums are int32 in C++ too, so that a number out of range is an error with a sentence, not undefined behaviour. */
#ifdef __cplusplus
#define LOWBIT_INT32 : int32_t
extern "C" {
#else
#define LOWBIT_INT32
#endif

/* ---- Status ------------------------------------------------------------------------------------------------------ */

/* What every call that can fail returns. */
typedef enum lowbit_status LOWBIT_INT32 {
  LOWBIT_OK = 0,               /* done, or enqueued */
  LOWBIT_INVALID_ARGUMENT = 1, /* the caller's mistake; the sentence names the argument */
  LOWBIT_UNSUPPORTED = 2,      /* no kernel of this device does it, and falling back was not allowed */
  LOWBIT_UNAVAILABLE = 3,      /* the backend or device cannot be opened here; the sentence lists what there is */
  LOWBIT_NOT_READY = 4,        /* needs a warm-up first (inside a graph capture) */
  LOWBIT_OUT_OF_MEMORY = 5,    /* the device's or the host's */
  LOWBIT_DEVICE_LOST = 6,      /* a fault of the device, which stays */
  LOWBIT_DRIVER_ERROR = 7,     /* lowbit_last_native_code() has the driver's own code */
  LOWBIT_INTERNAL = 8          /* a fault of lowbit itself; please report it */
} lowbit_status;

/* "1.2.3". Static. */
LOWBIT_API const char* lowbit_version(void);
/* "invalid_argument". Static; NULL for a number that is no status. */
LOWBIT_API const char* lowbit_status_name(lowbit_status status);
/* The sentence of this thread's last failed call, "" when there was none. Valid until its next lowbit call. */
LOWBIT_API const char* lowbit_last_error(void);
/* The driver's code (CUresult, VkResult) behind that failure, 0 when it did not come from a driver. */
LOWBIT_API int64_t lowbit_last_native_code(void);

/* Why something else did, or may do, what was asked for. */
typedef enum lowbit_fallback_reason LOWBIT_INT32 {
  LOWBIT_FALLBACK_NONE = 0,                       /* nothing else did */
  LOWBIT_FALLBACK_QUANT_DISABLED = 1,             /* a plan: the configuration is not enabled */
  LOWBIT_FALLBACK_MISSING_PACKED_ARTIFACTS = 2,   /* a plan: no target is packed */
  LOWBIT_FALLBACK_NATIVE_LOW_BIT_UNAVAILABLE = 3, /* a plan: the device lacks kernels of its own for a target */
  LOWBIT_FALLBACK_NOT_BUILT = 4,                  /* a backend: this build leaves it out */
  LOWBIT_FALLBACK_NO_DRIVER = 5,                  /* a backend: its driver cannot be loaded or does not start */
  LOWBIT_FALLBACK_DRIVER_TOO_OLD = 6,             /* a backend: its driver or loader is older than it needs */
  LOWBIT_FALLBACK_NO_DEVICE = 7,                  /* a backend: it has none, or not the one that was named */
  LOWBIT_FALLBACK_FEATURE_MISSING = 8,            /* a backend: its devices lack it; a call: no kernel takes it */
  LOWBIT_FALLBACK_PARITY_MISMATCH = 9,            /* a call: the guard barred every kernel, or all but what fell back */
  LOWBIT_FALLBACK_DEVICE_LOST = 10,               /* a call: the device has a fault, which stays */
  LOWBIT_FALLBACK_OUT_OF_MEMORY = 11              /* a call: on the device */
} lowbit_fallback_reason;
/* "none", "quant_disabled", "no_driver". Static; NULL for a number that is none. */
LOWBIT_API const char* lowbit_fallback_reason_name(lowbit_fallback_reason reason);

/* What was passed over, or gave up. */
typedef struct lowbit_fallback {
  uint32_t struct_size;
  lowbit_fallback_reason reason; /* LOWBIT_FALLBACK_NONE: nothing */
  char detail[256];              /* a sentence; "" for nothing */
} lowbit_fallback;

/* ---- Names ------------------------------------------------------------------------------------------------------- */

/* What a kernel computes; each has a call of its name. */
typedef enum lowbit_operation LOWBIT_INT32 {
  LOWBIT_QUANTIZE_PACK = 0,      /* floats to words of codes, with scales */
  LOWBIT_PACK_WEIGHT = 1,        /* floats to portable packed bytes, with scales */
  LOWBIT_LOWRANK_PROJECTION = 2, /* [B, Hi, T, E] x [H, E, L] */
  LOWBIT_DECODER_TAIL = 3,       /* [B, H, T, l] x [H*L, D] */
  LOWBIT_RHO_COMPRESS = 4,       /* floats to codes in blocks of 32, with scales */
  LOWBIT_RHO_EXPAND = 5          /* the way back */
} lowbit_operation;

/* Element types of tensors in memory. */
typedef enum lowbit_type LOWBIT_INT32 {
  LOWBIT_TYPE_F32 = 0,  /* IEEE binary32 */
  LOWBIT_TYPE_F16 = 1,  /* reserved: no kernel yet */
  LOWBIT_TYPE_BF16 = 2, /* reserved: no kernel yet */
  LOWBIT_TYPE_I32 = 3,  /* a word of four int8 codes, the first in the low byte */
  LOWBIT_TYPE_U8 = 4    /* a byte of packed codes */
} lowbit_type;

/* How values are coded. Activations: int8, int4, uint8, or f32 (left as floats).
 * Weights and rho: int8, ternary, binary. */
typedef enum lowbit_format LOWBIT_INT32 {
  LOWBIT_INT8 = 0,    /* -127..127 */
  LOWBIT_INT4 = 1,    /* -7..7, riding in int8 lanes */
  LOWBIT_UINT8 = 2,   /* 0..255: negative values become 0 */
  LOWBIT_TERNARY = 3, /* -1, 0, +1 in 2 bits */
  LOWBIT_BINARY = 4,  /* -1, +1 in 1 bit */
  LOWBIT_F32 = 5      /* activations that are not quantised; results are of the parity class `bounded` */
} lowbit_format;

/* How the scale of a group comes from its magnitudes. Ternary and binary have one rule of their own, the mean. */
typedef enum lowbit_rule LOWBIT_INT32 {
  LOWBIT_ABSMAX = 0, /* the largest fits exactly; nothing is clipped */
  LOWBIT_ABSMEAN = 1 /* twice the mean fits; the rest is clipped */
} lowbit_rule;

/* Which values share a scale. */
typedef enum lowbit_group LOWBIT_INT32 {
  LOWBIT_PER_TENSOR = 0,          /* all of them */
  LOWBIT_PER_TOKEN = 1,           /* each row along the last axis; decoder_tail: as PER_TOKEN_ALL_HEADS */
  LOWBIT_PER_TOKEN_ALL_HEADS = 2, /* [B, H, T, n]: the [H, n] values of token (b, t), in (h, i) order; B*T scales */
  LOWBIT_PER_CHANNEL = 3          /* weights: the values along the second-to-last axis */
} lowbit_group;

/* ---- Devices ----------------------------------------------------------------------------------------------------- */

typedef struct lowbit_device lowbit_device; /* a device of a backend, with its kernels: lowbit_device_open() */
typedef struct lowbit_stream lowbit_stream; /* an in-order queue of calls: lowbit_stream_create() */
typedef struct lowbit_buffer lowbit_buffer; /* memory of a device: lowbit_buffer_create() */
typedef struct lowbit_weight lowbit_weight; /* a packed weight on a device: lowbit_weight_prepare() */

/* What a device can do beyond the plain. */
typedef enum lowbit_feature LOWBIT_INT32 {
  LOWBIT_FEATURE_AVX2 = 1 << 0,      /* cpu, x86 */
  LOWBIT_FEATURE_MMA_INT8 = 1 << 1,  /* cuda: int8 tensor cores by mma.sync m16n8k32 (compute capability 8.0 and up) */
  LOWBIT_FEATURE_WGMMA = 1 << 2,     /* cuda: warpgroup matrix instructions (compute capability 9.0) */
  LOWBIT_FEATURE_DOT_INT8 = 1 << 3,  /* vulkan: shaderIntegerDotProduct */
  LOWBIT_FEATURE_EXACT_F32 = 1 << 4, /* vulkan: f32 rounds to nearest even and keeps subnormals, infinities and NaN */
  LOWBIT_FEATURE_COOPMAT_INT8 = 1 << 5, /* vulkan: VK_NV_cooperative_matrix of int8, into int32 */
  LOWBIT_FEATURE_AVX_VNNI = 1 << 6,     /* cpu, x86: dot products of 256 bits */
  LOWBIT_FEATURE_AVX512_VNNI = 1 << 7,  /* cpu, x86: of 512 bits; with AVX-512 F, BW, DQ and VL */
  LOWBIT_FEATURE_AMX_INT8 = 1 << 8,     /* cpu, x86: int8 tiles, which the system lets this process use */
  LOWBIT_FEATURE_DOTPROD = 1 << 9,      /* cpu, Arm: FEAT_DotProd */
  LOWBIT_FEATURE_I8MM = 1 << 10         /* cpu, Arm: FEAT_I8MM */
} lowbit_feature;
/* "avx2", "mma_int8", "wgmma", "dot_int8", "exact_f32", "coopmat_int8", "avxvnni", "avx512vnni", "amx",
 * "dotprod", "i8mm". Static; NULL for a bit without a name. */
LOWBIT_API const char* lowbit_feature_name(uint64_t feature);

/* The parity guard: when a weight is prepared, and when lowbit_device_warm_up() asks, each kernel that may serve computes
 * a small built-in case once per device and must give the reference's bits. A launch never guards, so a kernel that was
 * neither prepared for nor warmed up serves untested.
 * `sample` also looks at real calls. Of each kernel's first call on a stream and of every 64th after it a few outputs, and
 * what the reference needs to compute them, are copied to the host behind the kernel, without a wait; the next
 * lowbit_stream_synchronize() of the stream compares (calls of the host backends compare at once). Where they differ the
 * kernel is barred on the device for the life of the process, and that synchronize returns LOWBIT_INTERNAL with the
 * reason, once. Of a GPU's streams the first sample allocates 8 MiB of host memory; an output that needs more than 2 MiB
 * (a projection's: the weights of 32 columns), and what no longer fits before the next synchronize, is not sampled. Nor is
 * anything while a stream is captured into a graph, or in a VkCommandBuffer of the caller's. */
typedef enum lowbit_guard LOWBIT_INT32 {
  LOWBIT_GUARD_FIRST_USE = 0, /* small cases, before a kernel serves */
  LOWBIT_GUARD_OFF = 1,       /* nothing is tested */
  LOWBIT_GUARD_SAMPLE = 2     /* small cases, and outputs of real calls */
} lowbit_guard;

/* A Vulkan device of the caller's, with timelineSemaphore enabled; instance and device are of Vulkan 1.2 or later, and the
 * instance is of the system's loader. It must outlive everything that lowbit made on it. */
typedef struct lowbit_vulkan_handles {
  uint32_t struct_size;
  uint32_t queue_family; /* one with compute */
  void* instance;        /* VkInstance */
  void* physical_device; /* VkPhysicalDevice */
  void* device;          /* VkDevice */
  void* queue;           /* VkQueue of that family */
  /* What is enabled: LOWBIT_FEATURE_DOT_INT8 for shaderIntegerDotProduct; LOWBIT_FEATURE_COOPMAT_INT8 for all three of
   * cooperativeMatrix (with VK_NV_cooperative_matrix), shaderInt8 and vulkanMemoryModel. */
  uint64_t features;
  /* Called around each use of the queue, from any thread; NULL where one device of lowbit alone uses it. */
  void (*lock_queue)(void* user);
  void (*unlock_queue)(void* user); /* likewise */
  void* user;                       /* what both are called with */
} lowbit_vulkan_handles;

/* Which device to open, and how. */
typedef struct lowbit_device_options {
  uint32_t struct_size;
  /* "auto", "cuda", "vulkan", "cpu", "reference"; NULL is "auto": the first that works, in that order. The environment
   * variable LOWBIT_BACKEND fills in "auto" and NULL only; an explicit name wins. */
  const char* backend;
  /* Which device of the backend; NULL is its first. The host backends have one, "0"; a CUDA device goes by its index,
   * its UUID or its PCI bus id; a Vulkan device by its index, its UUID or a part of its name, software (llvmpipe) by UUID
   * or name only. LOWBIT_VULKAN_DEVICE fills in NULL for vulkan. */
  const char* device;
  /* Features (lowbit_feature bits) the device must pretend to lack. */
  uint64_t disabled_features;
  /* Non-zero: what the device cannot do may be done elsewhere, where the operands are host memory: by the reference for
   * the cpu; for cuda and vulkan by the cpu, in calls on a stream on host memory, for which weights are kept in host
   * memory too. Zero: such a call fails, with LOWBIT_UNSUPPORTED, LOWBIT_OUT_OF_MEMORY or LOWBIT_DEVICE_LOST. */
  int32_t allow_fallback;
  lowbit_guard guard; /* whether kernels are tested before they serve */
  /* NULL, or the caller's own device, which is opened by the backend vulkan; `backend` is then "vulkan", "auto" or NULL,
   * and `device` NULL. */
  const lowbit_vulkan_handles* vulkan;
} lowbit_device_options;

/* What was opened. Texts that are too long are cut. */
typedef struct lowbit_device_info {
  uint32_t struct_size;
  char backend[16];     /* "cpu" */
  char name[128];       /* "AMD EPYC 9654" */
  char isa[32];         /* the best instruction set in use: "avx512vnni", "scalar" */
  uint64_t features;    /* lowbit_feature bits, after masking */
  uint64_t memory_size; /* bytes of the device's memory, 0 when not known */
  int32_t host_memory;  /* non-zero: its memory can be read and written by the host directly */
} lowbit_device_info;

/* options may be NULL. Errors: LOWBIT_INVALID_ARGUMENT for an unknown name, LOWBIT_UNAVAILABLE for a known backend that
 * is not built in or has no device. LOWBIT_CPU_ISA forces the cpu device's instruction set: amx, avx512vnni, avxvnni
 * or avx2 (x86), i8mm or dotprod (Arm), or scalar. LOWBIT_THREADS is how many threads its calls may use, 1 to 1024; else
 * one for each processor that the process may run on. They are OpenMP's: a child of fork() must not use a device whose
 * calls have used several. */
LOWBIT_API lowbit_status lowbit_device_open(const lowbit_device_options* options, lowbit_device** device);
/* Streams, buffers and weights keep their device alive; closing it early is allowed. NULL is allowed. */
LOWBIT_API void lowbit_device_close(lowbit_device* device);
/* Fills in `info`, whose struct_size is set. */
LOWBIT_API lowbit_status lowbit_device_get_info(const lowbit_device* device, lowbit_device_info* info);
/* Why `auto` passed over the backends before this device's: the reason of the first that is built in, and a sentence for
 * each. */
LOWBIT_API lowbit_status lowbit_device_get_fallback(const lowbit_device* device, lowbit_fallback* fallback);
/* Runs the parity guard for every kernel of these operations that this device may use (bit 1 << operation each; 0 is
 * all). A kernel that fails is barred on this device for the life of the process and the next one serves. */
LOWBIT_API lowbit_status lowbit_device_warm_up(lowbit_device* device, uint32_t operations);

/* One of the backends this library knows. */
typedef struct lowbit_backend_info {
  uint32_t struct_size;
  char name[16];     /* "cuda" */
  int32_t available; /* non-zero: it has a device that can be opened */
  char reason[256];  /* why it is not: "not_built: ...", "no_driver: ..."; "" when it is available */
} lowbit_backend_info;
/* The index-th backend in the order of `auto`; LOWBIT_INVALID_ARGUMENT past the last. */
LOWBIT_API lowbit_status lowbit_backend_get_info(uint32_t index, lowbit_backend_info* info);

/* ---- Which kernel, and why --------------------------------------------------------------------------------------- */

/* A call, as far as choosing its kernel goes. */
typedef struct lowbit_query {
  uint32_t struct_size;
  lowbit_operation operation; /* what is called */
  lowbit_format activations;  /* quantize_pack and the projections */
  lowbit_format weights;      /* pack_weight, the projections; for rho its encoding */
  /* How large a projection is; 0: not told, and no kernel is passed over for it. Activations are taken to be contiguous
   * and of one batch, [1, Hi, T, n], n in decoder_tail a multiple of 16: cuda's wgmma wants such or passes over. */
  int64_t rows;    /* of activations: B*T */
  int64_t depth;   /* products that an output sums: E, or H*l */
  int64_t outputs; /* in all: B*H*T*Lo, or B*T*D */
} lowbit_query;

/* A kernel that a call might run. */
typedef struct lowbit_candidate {
  const char* kernel; /* static */
  int32_t selected;   /* non-zero for the one that a call would use */
  char reason[320];   /* why it was passed over, "feature_missing: avx2"; "" for the selected one and behind it */
} lowbit_candidate;

/* Lists the kernels of the device's backend for a call, best first. `count` holds the room in `candidates` on entry and
 * the number there are on return; candidates may be NULL when it is 0. */
LOWBIT_API lowbit_status lowbit_explain(const lowbit_device* device, const lowbit_query* query,
                                        lowbit_candidate* candidates, size_t* count);

/* ---- Profiling --------------------------------------------------------------------------------------------------- */

/* What a kernel did on a device since its profile was started or reset. Times are nanoseconds; median and p99 are exact to
 * 1 %. Bytes are those of the operands, each read or written once; operations are those of a projection's sums, a
 * multiply-add being two, and 0 for other kernels. */
typedef struct lowbit_profile_entry {
  const char* kernel; /* static */
  uint64_t count;     /* launches */
  double total;       /* ns, of all launches */
  double minimum;     /* ns, the shortest */
  double median;      /* ns */
  double p99;         /* ns: 99 % took no longer */
  double bytes;       /* of all launches */
  double operations;  /* of all launches */
} lowbit_profile_entry;

/* From now on every launch on the device is measured, but for the parity guard's. Not measured, a launch asks one
 * question more. Kernels of cuda and vulkan are measured by the device's own clock, by an event or a timestamp before and
 * behind each, and no call waits for it. Left out are calls that are captured into a graph, with what the graph runs of
 * them, and what is recorded into a caller's VkCommandBuffer. LOWBIT_UNSUPPORTED for a vulkan queue without timestamps.
 * Starting may wait for an empty submission, which puts the device's clock beside the host's; on a VkDevice of the
 * caller's it goes to their queue. The environment variable LOWBIT_PROFILE starts the profile of every device when it is
 * opened and is the name of the file that its trace is written to when the last handle of the device goes; a second
 * device's has ".2" behind it, and so on. A file that cannot be created is LOWBIT_INVALID_ARGUMENT then. */
LOWBIT_API lowbit_status lowbit_profile_start(lowbit_device* device);
/* What was measured stays. */
LOWBIT_API lowbit_status lowbit_profile_stop(lowbit_device* device);
/* Forgets it, and what was called before and has not run yet. */
LOWBIT_API lowbit_status lowbit_profile_reset(lowbit_device* device);
/* The kernels, the one with the most time first. A launch is among them once it has run, which is not waited for:
 * synchronize the streams before. Any thread may ask. `count` holds the room in `entries` on entry and the number there are on
 * return; entries may be NULL when it is 0. */
LOWBIT_API lowbit_status lowbit_profile_get_entries(const lowbit_device* device, lowbit_profile_entry* entries,
                                                    size_t* count);
/* Writes what was measured in the Trace Event Format, which trace viewers open, in microseconds: a lane a stream, and for
 * cuda and vulkan a lane of the stream's calls beside it, all on the host's clock. It holds the first 2^20 launches;
 * "otherData" says how many it leaves out. LOWBIT_INVALID_ARGUMENT if the file cannot be written. */
LOWBIT_API lowbit_status lowbit_profile_write_trace(const lowbit_device* device, const char* path);

/* The least time in which the device could do a kernel's work, as lowbit_profile_entry counts it: what moving the bytes or
 * doing the operations takes, whichever is longer; 0 where that is not known. Over a kernel's time it is the kernel's share
 * of the roof. cpu: a plain read of as many bytes, hot in the cache that holds them, and int8 multiply-adds on registers,
 * by the device's threads, measured by the first call for a size, in milliseconds, or some 100 where caches do not hold
 * them: nothing else should run. reference: the read alone. cuda: from the clocks and widths that the driver tells, bytes
 * by the bandwidth of its memory, which work that stays in its L2 exceeds. vulkan: 0, since Vulkan tells neither. A kernel
 * that leaves out work, as a sparse decoder tail does, may take less. Bytes and operations are at least 0. */
LOWBIT_API lowbit_status lowbit_device_get_floor(lowbit_device* device, double bytes, double operations,
                                                 double* nanoseconds);

/* Memory of the device that buffers, weights and the scratch of streams take. What is reserved for it was taken from the
 * driver: with what is kept for later, and vulkan's own for copies from and to the host. */
typedef struct lowbit_memory_info {
  uint32_t struct_size;
  uint64_t in_use;   /* bytes */
  uint64_t peak;     /* the most that were in use at once since the device was opened */
  uint64_t reserved; /* bytes */
} lowbit_memory_info;
/* Fills in `info`, whose struct_size is set. */
LOWBIT_API lowbit_status lowbit_device_get_memory(const lowbit_device* device, lowbit_memory_info* info);

/* ---- Buffers and streams ----------------------------------------------------------------------------------------- */

/* `size` bytes of device memory, aligned to 64 (vulkan: a buffer that starts there). Contents are undefined. */
LOWBIT_API lowbit_status lowbit_buffer_create(lowbit_device* device, uint64_t size, lowbit_buffer** buffer);
/* Waits for the buffer's last use; while a stream of the device is being captured the memory is freed later, and with
 * vulkan it is always freed when the work that was enqueued before has run, without waiting. Memory that is handed out
 * (lowbit_buffer_to_dlpack) stays, and goes likewise after the last deleter. NULL is allowed. */
LOWBIT_API void lowbit_buffer_destroy(lowbit_buffer* buffer);
/* What goes into lowbit_tensor.data. */
LOWBIT_API void* lowbit_buffer_data(const lowbit_buffer* buffer);
/* Bytes, as it was created. */
LOWBIT_API uint64_t lowbit_buffer_size(const lowbit_buffer* buffer);

/* A stream of the device, whose tensors are in the device's memory. */
LOWBIT_API lowbit_status lowbit_stream_create(lowbit_device* device, lowbit_stream** stream);
/* A stream whose tensors are host memory on every backend, for callers who have a call or two to make, or must get an
 * answer: cuda and vulkan copy the operands to the device and the results back, and each call waits. On a device that
 * allows fallback, a call that it cannot do (no kernel, every kernel barred by the guard, out of memory, lost) is done by
 * the cpu over the same host memory; lowbit_stream_get_fallback() has the reason. On a host backend it is a stream like
 * any other. */
LOWBIT_API lowbit_status lowbit_stream_create_on_host_memory(lowbit_device* device, lowbit_stream** stream);
/* Waits for its work. NULL is allowed. */
LOWBIT_API void lowbit_stream_destroy(lowbit_stream* stream);
/* A stream over one of the caller's own, for cuda a cudaStream_t of the device's primary context, which must outlive it.
 * Calls then take their place among the caller's own work there. LOWBIT_UNSUPPORTED for the host backends.
 * For vulkan it is a VkCommandBuffer in the recording state and outside of a render pass, of a lowbit_vulkan_handles
 * device and for its queue family. Calls are recorded into it, behind a barrier for compute and transfer each, and leave
 * other compute pipelines, sets and push constants bound. The caller puts a barrier behind the last, from COMPUTE_SHADER
 * and TRANSFER to what follows and to HOST, submits it once, and destroys the stream when it has run. flush then does
 * nothing, synchronize only tells what data was refused by the work that has run, and copies are LOWBIT_UNSUPPORTED. */
LOWBIT_API lowbit_status lowbit_stream_wrap(lowbit_device* device, void* native, lowbit_stream** stream);
/* The backend's own stream behind it (cuda: a cudaStream_t; vulkan: the caller's VkCommandBuffer, if it is one); NULL for
 * the host backends. */
LOWBIT_API void* lowbit_stream_native(const lowbit_stream* stream);
/* Submits what was enqueued, without waiting. */
LOWBIT_API lowbit_status lowbit_stream_flush(lowbit_stream* stream);
/* Waits until everything enqueued has run and returns the first fault that showed. */
LOWBIT_API lowbit_status lowbit_stream_synchronize(lowbit_stream* stream);
/* Scratch memory belongs to the stream. It grows when a call needs more than any before it; reserving the most that
 * will be needed (lowbit_stream_scratch_size() after a trial run) keeps every later call from allocating. Bytes.
 * While a stream is captured into a graph nothing can grow: such a call is LOWBIT_NOT_READY. A graph uses the scratch of
 * the stream that it was captured on: it may not run beside other work of that stream or beside itself, nor after the
 * stream's destruction. */
LOWBIT_API lowbit_status lowbit_stream_reserve_scratch(lowbit_stream* stream, uint64_t size);
/* Bytes it has. */
LOWBIT_API uint64_t lowbit_stream_scratch_size(const lowbit_stream* stream);
/* The kernel behind the stream's last operation, "" before the first. Static. */
LOWBIT_API const char* lowbit_stream_last_kernel(const lowbit_stream* stream);
/* Why that kernel is not of the stream's device. */
LOWBIT_API lowbit_status lowbit_stream_get_fallback(const lowbit_stream* stream, lowbit_fallback* fallback);
/* Enqueues a copy of `size` bytes to `offset` bytes into device memory; the host memory must live until it ran. */
LOWBIT_API lowbit_status lowbit_copy_to_device(lowbit_stream* stream, void* device_data, uint64_t offset,
                                               const void* host, uint64_t size);
/* The same from there to host memory. */
LOWBIT_API lowbit_status lowbit_copy_to_host(lowbit_stream* stream, void* host, const void* device_data,
                                             uint64_t offset, uint64_t size);

/* ---- Operands ---------------------------------------------------------------------------------------------------- */

/* A tensor in C order. Its last axis is contiguous; the row (last axis) with flat index r over the leading axes starts
 * r * row_stride elements after the first. */
typedef struct lowbit_tensor {
  void* data;         /* aligned to the element type */
  uint64_t offset;    /* bytes from `data` to the first element */
  uint64_t size;      /* bytes there are from `data`; checked against the shape; 0: not known, not checked */
  int64_t shape[4];   /* the first `rank` count */
  int64_t row_stride; /* elements, at least the last axis' length; 0: rows are contiguous */
  int32_t rank;       /* 1..4 */
  lowbit_type type;   /* of its elements */
} lowbit_tensor;

/* Bytes that `count` weights take when packed; 0 for a format that is none of int8, ternary, binary. */
LOWBIT_API uint64_t lowbit_packed_weight_size(lowbit_format format, uint64_t count);
/* The same for a compressed tensor of `count` values: its blocks of 32 each start on a byte of their own. */
LOWBIT_API uint64_t lowbit_rho_packed_size(lowbit_format encoding, uint64_t count);
/* Blocks, that is scales, of a compressed tensor of `count` values. */
LOWBIT_API uint64_t lowbit_rho_block_count(uint64_t count);

/* ---- Exchange ---------------------------------------------------------------------------------------------------- */

/* Tensors of other libraries, and lowbit's for them, by DLPack 1.x (https://dmlc.github.io/dlpack). A caller who looks
 * into one includes a dlpack.h of version 1.0 or later, before this header or after it.
 * lowbit's convention for Vulkan: device_type is kDLVulkan, `data` is a VkBuffer, byte_offset counts in it, and device_id
 * is the physical device's place in vkEnumeratePhysicalDevices. A VkBuffer is of one VkDevice, so both sides must have
 * the same one (lowbit_vulkan_handles); DLPack cannot tell, and nothing checks it. */
struct DLManagedTensorVersioned;
/* Describes `managed` as an operand of calls on the stream. Nothing is copied, kept or waited for: its memory must live
 * until those calls have run, what writes it must have run or come before them on the stream, and its deleter is the
 * caller's to call. LOWBIT_INVALID_ARGUMENT, besides NULL, for
 *   version     of another major version than 1, or flags that DLPack 1.1 does not have
 *   flags       read_only where is_output is not 0: a tensor that a call writes
 *   device      other memory than the stream's tensors are in. Streams of host backends and streams on host memory take
 *               kDLCPU and kDLCUDAHost; cuda takes kDLCUDA with the device's index, and kDLCUDAManaged; vulkan takes
 *               kDLVulkan with the device's index
 *   dtype       float32 is F32, float16 F16, bfloat16 BF16; int32, and int8 or uint8 of 4 lanes, are I32; uint8 and int8
 *               (packed int8 weights) are U8. uint2 and uint1, the codes of ternary (0, 1, 2 for -1, 0, +1) and binary
 *               (0, 1) as docs/formats.md packs them, are U8 of rank 1, their bytes; they must be contiguous and without
 *               the flag is_subbyte_type_padded. No other has a meaning here
 *   shape       other ranks than 1 to 4, or an axis of 0
 *   strides     other than lowbit_tensor has: the last axis contiguous, rows in C order and one stride apart; NULL is
 *               contiguous
 *   data        an address, or for vulkan an offset, that is no multiple of the element size
 * `size` ends with the last element. */
LOWBIT_API lowbit_status lowbit_tensor_from_dlpack(const lowbit_stream* stream,
                                                   const struct DLManagedTensorVersioned* managed, int32_t is_output,
                                                   lowbit_tensor* tensor);
/* Hands out `view`, a tensor whose data is the buffer's, with strides for each axis; I32 as int32, U8 as uint8. The
 * buffer's memory stays until `managed`'s deleter has been called, which any thread may do, also after
 * lowbit_buffer_destroy() and lowbit_device_close(). Nothing is waited for: whoever reads it on another stream, or on the
 * host, synchronises the stream that writes it before. */
LOWBIT_API lowbit_status lowbit_buffer_to_dlpack(const lowbit_buffer* buffer, const lowbit_tensor* view,
                                                 struct DLManagedTensorVersioned** managed);

/* ---- Operations -------------------------------------------------------------------------------------------------- */

/* Quantises floats and packs four codes into a word. Parity class exact. A group that holds a NaN or an infinity, or
 * whose sum overflows, gets the scale NaN (0x7fc00000) and codes 0. */
typedef struct lowbit_quantize_pack_args {
  uint32_t struct_size;
  lowbit_format format; /* int8, int4, uint8 */
  lowbit_rule rule;     /* of the scales */
  lowbit_group group;   /* per_tensor, per_token, per_token_all_heads (rank 4) */
  lowbit_tensor input;  /* [..., n] F32 */
  lowbit_tensor codes;  /* out: [..., ceil(n/4)] I32; lanes past n are 0 */
  lowbit_tensor scales; /* out: [1], [rows] or [B*T] F32, contiguous */
} lowbit_quantize_pack_args;
/* Enqueues it on the first kernel that can serve; LOWBIT_UNSUPPORTED if none can.
 * Source: docs/numerics.md, "Scales" and "Codes". */
LOWBIT_API lowbit_status lowbit_quantize_pack(lowbit_stream* stream, const lowbit_quantize_pack_args* args);

/* Quantises a weight tensor into its portable packed bytes. Parity class exact. A weight that is not finite, or a sum
 * of magnitudes that overflows, is LOWBIT_INVALID_ARGUMENT and the sentence has its index or channel. */
typedef struct lowbit_pack_weight_args {
  uint32_t struct_size;
  lowbit_format format; /* int8, ternary, binary */
  lowbit_rule rule;     /* int8 only */
  lowbit_group group;   /* per_tensor or per_channel */
  lowbit_tensor input;  /* [..., K, N] F32, rank 2 to 4 */
  lowbit_tensor packed; /* out: [lowbit_packed_weight_size] U8, codes in the C order of the input, no padding */
  lowbit_tensor scales; /* out: [1] or [... * N] F32 */
} lowbit_pack_weight_args;
/* Enqueues it on the first kernel that can serve; LOWBIT_UNSUPPORTED if none can.
 * Source: docs/numerics.md, "Weights". */
LOWBIT_API lowbit_status lowbit_pack_weight(lowbit_stream* stream, const lowbit_pack_weight_args* args);

/* A packed weight in device memory, in the order that the device's kernel likes. H matrices of K x N:
 *   lowrank_projection  [H, E, L]: K = E, N = L; scales [H*L] or [1]
 *   decoder_tail        [H*L, D]:  K = L, N = D; scales [D] or [1]                                                   */
typedef struct lowbit_weight_desc {
  uint32_t struct_size;
  lowbit_operation operation; /* lowrank_projection or decoder_tail */
  lowbit_format format;       /* int8, ternary, binary */
  int64_t heads;              /* H */
  int64_t rows;               /* K: E or L */
  int64_t columns;            /* N: L or D */
  const void* packed;         /* host: lowbit_packed_weight_size(format, H*K*N) bytes; not kept */
  uint64_t packed_size;       /* bytes at `packed` */
  const float* scales;        /* host; not kept */
  uint64_t scale_count;       /* floats at `scales` */
} lowbit_weight_desc;
/* Runs the parity guard for the kernels that may read it. A ternary code 3 is LOWBIT_INVALID_ARGUMENT. Where cuda or
 * vulkan cannot take the weight, but may fall back, it is in host memory alone, and serves streams on host memory; calls
 * on others fail as this call would have. */
LOWBIT_API lowbit_status lowbit_weight_prepare(lowbit_device* device, const lowbit_weight_desc* desc,
                                               lowbit_weight** weight);
/* NULL is allowed. The caller sees to it that no enqueued call still reads it. */
LOWBIT_API void lowbit_weight_destroy(lowbit_weight* weight);
/* Bytes it takes on the device, scales included. */
LOWBIT_API uint64_t lowbit_weight_size(const lowbit_weight* weight);

/* The activations of a projection: floats that the call quantises by `format`, `rule` and `group`; or codes that
 * quantize_pack made, whose scales come from the device (`scales`) or, where scales.data is NULL, from the host
 * (`scale`, one for the tensor; frozen into a captured graph). */
typedef struct lowbit_activations {
  lowbit_tensor values; /* [B, Hi, T, n] F32, or [B, Hi, T, ceil(n/4)] I32 */
  lowbit_tensor scales; /* codes only: F32, [1] or one a group */
  float scale;          /* codes only */
  lowbit_format format; /* int8, int4, uint8; f32 with F32 values: not quantised (class bounded) */
  lowbit_rule rule;     /* floats only */
  lowbit_group group;   /* floats only: per_tensor or per_token */
} lowbit_activations;

/* out[b,h,t,l] = sum_e a[b, Hi==1 ? 0 : h, t, e] * w[h,e,l], scaled; with a threshold max(out - threshold, 0), NaN kept
 * (threshold 0 is ReLU). Sums of codes are exact whatever E is. Parity class exact; `bounded` for format f32. */
typedef struct lowbit_lowrank_projection_args {
  uint32_t struct_size;
  int32_t use_threshold;       /* non-zero: apply `threshold` */
  float threshold;             /* any f32 */
  lowbit_activations input;    /* [B, Hi, T, E], Hi 1 or H; per_token scales: [B*Hi*T] */
  const lowbit_weight* weight; /* [H, E, L], of the stream's device */
  lowbit_tensor output;        /* out: [B, H, T, Lo] F32, 1 <= Lo <= L: the first Lo outputs are computed */
} lowbit_lowrank_projection_args;
/* Enqueues it on the first kernel that can serve; LOWBIT_UNSUPPORTED if none can.
 * Source: docs/numerics.md, "Projections". */
LOWBIT_API lowbit_status lowbit_lowrank_projection(lowbit_stream* stream, const lowbit_lowrank_projection_args* args);

/* out[b,0,t,d] = sum_h sum_{i<l} y[b,h,t,i] * w[h*L+i, d], scaled. per_token: one scale for a token's [H, l] values.
 * Parity class exact; `bounded` for format f32. */
typedef struct lowbit_decoder_tail_args {
  uint32_t struct_size;
  int64_t latent; /* l, 1 <= l <= L; needed for codes, whose shape has it only in words; 0: input shape's, codes: L */
  lowbit_activations input;    /* [B, H, T, l]; per_token scales: [B*T] */
  const lowbit_weight* weight; /* [H*L, D], of the stream's device */
  lowbit_tensor output;        /* out: [B, 1, T, D] F32 */
} lowbit_decoder_tail_args;
/* Enqueues it on the first kernel that can serve; LOWBIT_UNSUPPORTED if none can.
 * Source: docs/numerics.md, "Projections". */
LOWBIT_API lowbit_status lowbit_decoder_tail(lowbit_stream* stream, const lowbit_decoder_tail_args* args);

/* Compresses a float tensor, flattened, in blocks of 32 with a scale each. Parity class exact. Non-finite blocks get
 * the scale NaN and expand to NaN. */
typedef struct lowbit_rho_compress_args {
  uint32_t struct_size;
  lowbit_format encoding; /* int8, ternary, binary */
  lowbit_tensor input;    /* any shape, F32 */
  lowbit_tensor packed;   /* out: [lowbit_rho_packed_size] U8 */
  lowbit_tensor scales;   /* out: [lowbit_rho_block_count] F32 */
} lowbit_rho_compress_args;
/* Enqueues it on the first kernel that can serve; LOWBIT_UNSUPPORTED if none can.
 * Source: docs/numerics.md, "Block compression (rho)". */
LOWBIT_API lowbit_status lowbit_rho_compress(lowbit_stream* stream, const lowbit_rho_compress_args* args);

/* The way back: code * scale, one rounding. Sizes that do not fit the output's count, and a ternary code 3, are errors
 * that name the block (host backends: at once, with nothing written). */
typedef struct lowbit_rho_expand_args {
  uint32_t struct_size;
  lowbit_format encoding; /* int8, ternary, binary */
  lowbit_tensor packed;   /* [lowbit_rho_packed_size] U8 */
  lowbit_tensor scales;   /* [lowbit_rho_block_count] F32 */
  lowbit_tensor output;   /* out: any shape, F32 */
} lowbit_rho_expand_args;
/* Enqueues it on the first kernel that can serve; LOWBIT_UNSUPPORTED if none can.
 * Source: docs/numerics.md, "Block compression (rho)". */
LOWBIT_API lowbit_status lowbit_rho_expand(lowbit_stream* stream, const lowbit_rho_expand_args* args);

/* What the rho_compress calls of a stream did to their tensors, added up over the values that were finite before and
 * after. An error is |after - before|; relative is to the RMS of its call's tensor. */
typedef struct lowbit_rho_statistics {
  uint32_t struct_size;
  uint64_t calls;                /* whose tensors were read back */
  uint64_t values;               /* that count below */
  uint64_t non_finite;           /* the others: all of a block with one that was not finite */
  uint64_t bytes_before;         /* as f32 */
  uint64_t bytes_after;          /* packed and scales */
  double rms_before;             /* root of the mean of squares */
  double rms_after;              /* likewise, of what expands */
  double mean_error;             /* in the tensors' own unit */
  double largest_error;          /* likewise */
  double mean_relative_error;    /* 0.01 is 1 % of the RMS */
  double largest_relative_error; /* likewise */
  double smallest_rms_ratio;     /* of a call, after / before; 1 for a tensor of zeros */
  double largest_rms_ratio;      /* likewise */
} lowbit_rho_statistics;
/* From now on every lowbit_rho_compress() on the stream, but for one that is captured, waits and reads back what it was
 * given and what it made. What was added up before is forgotten. LOWBIT_UNSUPPORTED for a VkCommandBuffer of the
 * caller's. */
LOWBIT_API lowbit_status lowbit_rho_statistics_start(lowbit_stream* stream);
/* Forgets them. */
LOWBIT_API lowbit_status lowbit_rho_statistics_stop(lowbit_stream* stream);
/* Of the calls since the start; LOWBIT_INVALID_ARGUMENT without one. */
LOWBIT_API lowbit_status lowbit_rho_statistics_get(const lowbit_stream* stream, lowbit_rho_statistics* statistics);

/* What compression may cost. */
typedef struct lowbit_rho_gate {
  uint32_t struct_size;
  double mean_relative_error;    /* at most */
  double largest_relative_error; /* at most */
  double smallest_rms_ratio;     /* at least */
  double largest_rms_ratio;      /* at most */
  double bytes_ratio;            /* bytes_after / bytes_before, at most */
} lowbit_rho_gate;
/* What a gate says. */
typedef struct lowbit_rho_verdict {
  uint32_t struct_size;
  int32_t passed;   /* non-zero: there were calls, all values are finite, and no limit is passed */
  char reason[128]; /* "largest_relative_error is 0.11, the gate has 0.05"; "" if it passed */
} lowbit_rho_verdict;
/* gate may be NULL: for int8, 0.02 of mean and 0.05 of largest error, RMS ratios of 0.95 to 1.05, half the bytes. */
LOWBIT_API lowbit_status lowbit_rho_gate_check(const lowbit_rho_statistics* statistics, const lowbit_rho_gate* gate,
                                               lowbit_rho_verdict* verdict);

/* ---- Plans ------------------------------------------------------------------------------------------------------- */

/* How a Hatchling is to be computed on a device, and what memory that takes, in the words of burn_dragon, which trains
 * such models. D is the embedding's width, H the heads, N the latent width of a head, V the vocabulary, B texts at once
 * and T tokens of each in a call. The modules that may be low-bit are three weights, which all layers share:
 *   x         encoder    [H, D, N]  lowrank_projection of x      [B, 1, T, D]
 *   y         encoder_v  [H, D, N]  lowrank_projection of ln(a)  [B, H, T, D]
 *   residual  decoder    [H*N, D]   decoder_tail of xs * ys      [B, H, T, N] */
typedef enum lowbit_module LOWBIT_INT32 {
  LOWBIT_MODULE_X = 1 << 0,       /* encoder */
  LOWBIT_MODULE_Y = 1 << 1,       /* encoder_v */
  LOWBIT_MODULE_RESIDUAL = 1 << 2 /* decoder */
} lowbit_module;

/* What is wished for, and what there is of it. */
typedef struct lowbit_plan_config {
  uint32_t struct_size;
  int32_t enabled;        /* non-zero: quantise; at least one module is then a target */
  lowbit_format x;        /* of the weights: int8, ternary, binary; f32 leaves the module in floats, it is no target */
  lowbit_format y;        /* likewise */
  lowbit_format residual; /* likewise */
  lowbit_format activations; /* of all targets: int8, int4, uint8, f32 */
  int32_t training_kernels;  /* non-zero: a forward pass for training is wanted */
  uint32_t packed;           /* the modules (lowbit_module bits) whose weights are there in packed form */
} lowbit_plan_config;

/* What a plan has to know of a device. */
typedef struct lowbit_capabilities {
  uint32_t struct_size;
  int32_t native_projections; /* non-zero: kernels of the device's own for the projections of every target */
  int32_t training_kernels;   /* non-zero: kernels whose gradients are there too */
} lowbit_capabilities;

/* How the targets' weights are held, and what computes with them. */
typedef enum lowbit_runtime LOWBIT_INT32 {
  LOWBIT_FAKE_QUANT_REFERENCE = 0,          /* floats, rounded to what the codes could say */
  LOWBIT_PACKED_REFERENCE = 1,              /* packed weights, by the backend `reference` */
  LOWBIT_PACKED_NATIVE_INFERENCE = 2,       /* packed weights, by the device's kernels */
  LOWBIT_PACKED_NATIVE_TRAINING_FORWARD = 3 /* likewise, in a forward pass whose gradients are taken */
} lowbit_runtime;

/* "fake_quant_reference". Static; NULL for a number that is none. */
LOWBIT_API const char* lowbit_runtime_name(lowbit_runtime runtime);

/* What lowbit_plan_choose() chose. */
typedef struct lowbit_plan {
  uint32_t struct_size;
  lowbit_runtime runtime;                 /* of all targets */
  lowbit_fallback_reason fallback_reason; /* why it is no better one */
} lowbit_plan;

/* What the device can do of the configuration. native_projections: its backend is not `reference`, and for each target
 * the kernel table has a row of that backend for the module's operation, these weights and these activations, whose
 * features are there and which the parity guard has not barred; a configuration that is not enabled has no target, and
 * gets 0. training_kernels is 0 on every device as long as lowbit has no gradients. */
LOWBIT_API lowbit_status lowbit_device_get_capabilities(const lowbit_device* device, const lowbit_plan_config* config,
                                                        lowbit_capabilities* capabilities);

/* A function of its arguments alone, without a device. The first that matches:
 *   not enabled                                       fake_quant_reference            quant_disabled
 *   training kernels wanted, and had by the device
 *     and by x's format, which is not ternary         packed_native_training_forward  none
 *   no target is packed                               fake_quant_reference            missing_packed_artifacts
 *   native projections                                packed_native_inference         none
 *   otherwise                                         packed_reference                native_low_bit_unavailable
 * Targets that are not packed where others are stay floats. */
LOWBIT_API lowbit_status lowbit_plan_choose(const lowbit_plan_config* config, const lowbit_capabilities* capabilities,
                                            lowbit_plan* plan);

/* How large a model is, and how it is used. Every size is at least 1, and H*N*D at most 2^48. */
typedef struct lowbit_model {
  uint32_t struct_size;
  int32_t training;          /* non-zero: gradients will be taken */
  int64_t layers;            /* they share the weights, not rho */
  int64_t embedding;         /* D */
  int64_t heads;             /* H */
  int64_t latent;            /* N */
  int64_t vocabulary;        /* V */
  int64_t batch;             /* B */
  int64_t tokens;            /* T */
  lowbit_format rho;         /* int8, ternary, binary; f32: not compressed */
  lowbit_group weight_group; /* of the packed weights' scales: per_tensor, per_channel */
} lowbit_model;

/* How far an estimate is to be trusted. */
typedef enum lowbit_memory_basis LOWBIT_INT32 {
  LOWBIT_MEMORY_COMPUTED = 0,  /* the caller's own memory, by the formula alone */
  LOWBIT_MEMORY_ALLOCATED = 1, /* what lowbit allocates, to the byte */
  LOWBIT_MEMORY_AT_LEAST = 2   /* likewise, but kernels may take more */
} lowbit_memory_basis;

/* One part of an estimate. */
typedef struct lowbit_memory_bucket {
  uint64_t size;             /* bytes */
  lowbit_memory_basis basis; /* what they are */
} lowbit_memory_bucket;

/* Where `config` is not enabled no module is packed; those that count as packed are the targets in config.packed. */
typedef struct lowbit_memory_estimate {
  uint32_t struct_size;
  /* Computed: 4 bytes for each of the embedding's V*D, lm_head's D*V, and the H*N*D of each module that is not packed;
   * of every module when training. */
  lowbit_memory_bucket master_weights;
  /* Allocated: the sum of lowbit_weight_size() over the packed modules, in the layouts that the device prepares them
   * in. A kernel that the parity guard bars afterwards may change them: warm up before. */
  lowbit_memory_bucket packed_weights;
  /* Computed: 4 bytes for each of the floats of a layer and of the logits, B*T*(2*D + H*D + 3*H*N + V), as examples/bdh
   * has them of one token: x and its update, a, xs, rope(xs) and ys. Scores of a recurrence that is computed without
   * rho are not in it. */
  lowbit_memory_bucket activations;
  /* Computed: what the weights' gradients need of the forward pass, the projections' inputs as floats:
   * 4*layers*B*T*(D + H*D + H*N) bytes when training, else 0. */
  lowbit_memory_bucket saved_activations;
  /* Of each text, layer and head a matrix [N, D]. Allocated, where it is compressed, each by itself:
   * layers*B*H*(lowbit_rho_packed_size(rho, N*D) + 4*lowbit_rho_block_count(N*D)) bytes of buffers. Computed, as f32:
   * 4*layers*B*H*N*D. */
  lowbit_memory_bucket rho;
  /* The stream's scratch that keeps the projections of packed modules from allocating once it is reserved, their inputs
   * floats that they quantise per token: codes and scales, each piece whole multiples of 64 bytes; the most of
   *   x         4*B*T*ceil(D/4)    and  4*B*T
   *   y         4*B*H*T*ceil(D/4)  and  4*B*H*T
   *   residual  4*B*H*T*ceil(N/4)  and  4*B*T
   * or 0 for activations f32. Allocated for the backend `reference`. At least for the others, whose kernels take
   * scratch of their own by their way, caches and threads: lowbit_stream_scratch_size() after a trial run has it. */
  lowbit_memory_bucket workspace;
} lowbit_memory_estimate;

/* Allocates nothing and runs nothing. LOWBIT_INVALID_ARGUMENT also for a bucket of 2^62 bytes or more,
 * LOWBIT_UNSUPPORTED where the device has no kernel for a packed module. */
LOWBIT_API lowbit_status lowbit_estimate_memory(const lowbit_device* device, const lowbit_model* model,
                                                const lowbit_plan_config* config, lowbit_memory_estimate* estimate);

#ifdef __cplusplus
}
#endif
#endif /* LOWBIT_LOWBIT_H */
