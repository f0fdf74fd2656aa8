# The Vulkan backend: its sources, and its shaders in every build that a kernel of it runs.
include(cmake/shaders.cmake)

set(LOWBIT_VULKAN_SOURCES
  vulkan/cooperative_matrix.cpp vulkan/device_clock.cpp vulkan/error.cpp vulkan/instance.cpp vulkan/open_device.cpp vulkan/pipeline_cache.cpp vulkan/recording.cpp
  vulkan/refusals.cpp vulkan/shader.cpp vulkan/staging.cpp vulkan/timestamps.cpp vulkan/volk.c vulkan/vulkan_device.cpp
  vulkan/vulkan_stream.cpp
  vulkan/groups.cpp vulkan/pack_weight.cpp vulkan/problem.cpp vulkan/project_coopmat.cpp vulkan/project_f32.cpp vulkan/project_rows.cpp
  vulkan/project_sparse.cpp vulkan/project_tiles.cpp vulkan/projection.cpp vulkan/quantize_pack.cpp
  vulkan/rho_compress.cpp vulkan/rho_expand.cpp)

lowbit_add_float_shader(pack_weight)
lowbit_add_shader(pack_weight_check pack_weight_check)
lowbit_add_shader(pack_weight_scales pack_weight_scales)
lowbit_add_float_shader(project_coopmat)
lowbit_add_float_shader(project_f32)
lowbit_add_float_shader(project_finish)
lowbit_add_products_shader(project_rows)
lowbit_add_products_shader(project_sparse)
lowbit_add_products_shader(project_tiles)
lowbit_add_float_shader(quantize_pack)
lowbit_add_float_shader(quantize_pack_rows)
lowbit_add_float_shader(reduce)
lowbit_add_float_shader(rho_compress)
lowbit_add_float_shader(rho_expand)

# volk's functions and variables, under names of lowbit's own: see vulkan/vk.h.
file(STRINGS ${LOWBIT_VOLK_INCLUDE_DIR}/volk.h functions REGEX "^extern PFN_vk|^[a-zA-Z0-9_]+ (volk[A-Za-z]+)\\(")
list(TRANSFORM functions REPLACE "^extern PFN_vk[A-Za-z0-9]+ (vk[A-Za-z0-9]+).*" "#define \\1 lowbit_\\1")
list(TRANSFORM functions REPLACE "^[a-zA-Z0-9_]+ (volk[A-Za-z]+)\\(.*" "#define \\1 lowbit_\\1")
list(JOIN functions "\n" functions)
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/vulkan/volk_names.h CONTENT "#pragma once\n${functions}\n" @ONLY)
