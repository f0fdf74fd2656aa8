# Kernels of an instruction set are compiled with its flags and run only where the processor reports it. A file is compiled
# once for each set that uses it, LOWBIT_ISA naming the set: its folder and its namespace.

set(cpu_streaming quantize_pack.cpp rho_compress.cpp rho_expand.cpp)
set(cpu_floats lowrank_projection_f32.cpp decoder_tail_f32.cpp)
set(cpu_tiles lowrank_projection_tiles.cpp decoder_tail_tiles.cpp)
set(cpu_projections lowrank_projection.cpp decoder_tail.cpp decoder_tail_tiles.cpp)

# lowbit_add_isa(<target> <set> "<flags>" <files>...): gives `target` the kernels of `set`.
function(lowbit_add_isa target isa flags)
  list(TRANSFORM ARGN PREPEND ${PROJECT_SOURCE_DIR}/host/cpu/ OUTPUT_VARIABLE sources)
  set(kernels ${target}_${isa})
  add_library(${kernels} OBJECT ${sources})
  target_include_directories(${kernels} PRIVATE ${PROJECT_SOURCE_DIR}/host/include ${PROJECT_SOURCE_DIR}/host)
  target_compile_definitions(${kernels} PRIVATE LOWBIT_ISA=${isa} LOWBIT_ISA_HEADER="cpu/${isa}/isa.h")
  target_compile_options(${kernels} PRIVATE ${flags})
  if(LOWBIT_SANITIZE MATCHES address)  # g++ took three times as long over the scopes of lambdas whose variables are registers
    target_compile_options(${kernels} PRIVATE -fno-sanitize-address-use-after-scope)
  endif()
  target_link_libraries(${kernels} PRIVATE lowbit_options)
  target_sources(${target} PRIVATE $<TARGET_OBJECTS:${kernels}>)
  set_property(TARGET ${target} APPEND PROPERTY LOWBIT_ISA_TARGETS ${kernels})
endfunction()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  set(LOWBIT_CPU_DEFINITION LOWBIT_X86=1)
  set(avx512 -mavx2 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mprefer-vector-width=512)
  # g++ 12 takes the undefined operands of its own avx512fintrin.h for mistakes.
  list(APPEND avx512 "$<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized;-Wno-uninitialized>")
  lowbit_add_isa(lowbit avx2 -mavx2 ${cpu_projections} ${cpu_floats} ${cpu_streaming} avx2/roof.cpp)
  lowbit_add_isa(lowbit avxvnni "-mavx2;-mavxvnni" ${cpu_projections} avxvnni/roof.cpp)
  lowbit_add_isa(lowbit avx512vnni "${avx512}" ${cpu_projections} avx512vnni/roof.cpp)
  lowbit_add_isa(lowbit amx "${avx512};-mamx-tile;-mamx-int8" ${cpu_tiles} amx/roof.cpp)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(LOWBIT_CPU_DEFINITION LOWBIT_ARM=1)
  # g++ 12 would spread a tile's loads so far ahead that its sums no longer fit in registers.
  set(arm $<$<CXX_COMPILER_ID:GNU>:-fno-schedule-insns>)
  lowbit_add_isa(lowbit dotprod "-march=armv8.2-a+dotprod;${arm}" ${cpu_projections} ${cpu_floats} ${cpu_streaming} dotprod/roof.cpp)
  lowbit_add_isa(lowbit i8mm "-march=armv8.2-a+dotprod+i8mm;${arm}" ${cpu_tiles} i8mm/roof.cpp)
endif()
target_compile_definitions(lowbit PRIVATE ${LOWBIT_CPU_DEFINITION})
