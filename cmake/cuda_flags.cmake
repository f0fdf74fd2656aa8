# How nvcc compiles the kernels: LOWBIT_CUDA_FLAGS, for LOWBIT_CUDA_ARCHITECTURES. CMake 3.25 does not know
# that nvcc has C++20.
set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
# No contraction and no flushing of subnormals: docs/numerics.md rounds each operation once.
set(LOWBIT_CUDA_FLAGS --expt-relaxed-constexpr --fmad=false --ftz=false --prec-div=true --compress-mode=size
    -Xcompiler=-Wall,-Wextra,-Wno-missing-field-initializers,-ffp-contract=off)
foreach(architecture IN LISTS LOWBIT_CUDA_ARCHITECTURES)
  list(APPEND LOWBIT_CUDA_FLAGS "-gencode=arch=compute_${architecture},code=sm_${architecture}")
endforeach()
list(GET LOWBIT_CUDA_ARCHITECTURES -1 latest)
list(APPEND LOWBIT_CUDA_FLAGS "-gencode=arch=compute_${latest},code=compute_${latest}")
