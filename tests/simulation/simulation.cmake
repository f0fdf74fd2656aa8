# The cpu's kernels for instruction sets that the machine need not have: the same files in plain x86-64 code, their
# intrinsics replaced by functions (x86.h). Only optimised: with sanitizers they take minutes.

add_library(lowbit_simulated STATIC
  simulation/amx.cpp simulation/detect.cpp simulation/roofs.cpp $<TARGET_OBJECTS:lowbit_host>)
set(simulated_sources ${LOWBIT_CONFIGURED_SOURCES})
list(REMOVE_ITEM simulated_sources host/cpu/detect.cpp host/cpu/roofs.cpp)
list(TRANSFORM simulated_sources PREPEND ${PROJECT_SOURCE_DIR}/)
target_sources(lowbit_simulated PRIVATE ${simulated_sources})
target_include_directories(lowbit_simulated
  PUBLIC ${PROJECT_SOURCE_DIR}/host/include PRIVATE ${PROJECT_SOURCE_DIR}/host ${CMAKE_CURRENT_SOURCE_DIR})
target_compile_definitions(lowbit_simulated PRIVATE ${LOWBIT_CPU_DEFINITION})
target_link_libraries(lowbit_simulated PRIVATE lowbit_options ${LOWBIT_FMT})
if(OpenMP_CXX_FOUND)
  target_link_libraries(lowbit_simulated PRIVATE OpenMP::OpenMP_CXX)
endif()

# No complaint that functions of such vectors would be called otherwise with AVX.
add_library(lowbit_simulation INTERFACE)
target_include_directories(lowbit_simulation INTERFACE ${CMAKE_CURRENT_SOURCE_DIR})
target_include_directories(lowbit_simulation SYSTEM INTERFACE ${LOWBIT_SIMDE_INCLUDE_DIR})
target_compile_options(lowbit_simulation INTERFACE -Wno-psabi)

# In place of the instruction set's flags, the bytes of its vectors.
set(simulated_avx2 -DLOWBIT_SIMULATED=32)
set(simulated_avxvnni -DLOWBIT_SIMULATED=32)
set(simulated_avx512vnni -DLOWBIT_SIMULATED=64)
set(simulated_amx -DLOWBIT_SIMULATED=64)
foreach(isa avx2 avxvnni avx512vnni amx)
  get_target_property(files lowbit_${isa} SOURCES)
  list(TRANSFORM files REPLACE "^${PROJECT_SOURCE_DIR}/host/cpu/" "")
  list(REMOVE_ITEM files ${isa}/roof.cpp)
  lowbit_add_isa(lowbit_simulated ${isa} ${simulated_${isa}} ${files})
  target_link_libraries(lowbit_simulated_${isa} PRIVATE lowbit_simulation)
endforeach()

lowbit_add_parity_tests(lowbit_simulated_parity_tests lowbit_simulated)
add_test(NAME lowbit_simulated_parity_tests COMMAND lowbit_simulated_parity_tests)
set_tests_properties(lowbit_simulated_parity_tests PROPERTIES LABELS "parity;simulated"
  ENVIRONMENT "LOWBIT_TEST_BACKEND=cpu;OMP_WAIT_POLICY=passive")

# The simulation itself: what kernels are made of, as the processor does it and as simulated.
lowbit_add_test_executable(lowbit_simulation_tests lowbit simulation/simulation_test.cpp simulation/amx.cpp values.cpp)
target_link_libraries(lowbit_simulation_tests PRIVATE GTest::gmock_main)
foreach(isa avx2 avxvnni avx512vnni amx)
  get_target_property(native_${isa} lowbit_${isa} COMPILE_OPTIONS)
  foreach(way native simulated)
    set(steps lowbit_${way}_steps_${isa})
    add_library(${steps} OBJECT simulation/steps.cpp)
    target_compile_definitions(${steps} PRIVATE LOWBIT_ISA=${way}_${isa} LOWBIT_ISA_HEADER="cpu/${isa}/isa.h")
    target_compile_options(${steps} PRIVATE ${${way}_${isa}} -Wno-uninitialized)  # see cpu.cmake
    target_include_directories(${steps} PRIVATE ${PROJECT_SOURCE_DIR}/host/include ${PROJECT_SOURCE_DIR}/host)
    target_link_libraries(${steps} PRIVATE lowbit_simulation lowbit_options)
    target_sources(lowbit_simulation_tests PRIVATE $<TARGET_OBJECTS:${steps}>)
  endforeach()
endforeach()
gtest_discover_tests(lowbit_simulation_tests PROPERTIES LABELS "unit;simulated")
