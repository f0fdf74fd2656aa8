# Whole programs: golden data through the library and the command, the Hatchling, and the command's manners.
# Included by the CMakeLists.txt beside it where the tools are built.

# ---- Golden data ----------------------------------------------------------------------------------------------------
# Unpacked by cmake itself, so that no other program is needed.

set(golden_archive ${CMAKE_CURRENT_LIST_DIR}/golden/golden.tar.xz)
set(golden_folder ${CMAKE_CURRENT_BINARY_DIR}/golden)
add_custom_command(OUTPUT ${golden_folder}.stamp
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${golden_folder}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${golden_folder}
  COMMAND ${CMAKE_COMMAND} -E chdir ${golden_folder} ${CMAKE_COMMAND} -E tar xf ${golden_archive}
  COMMAND ${CMAKE_COMMAND} -E touch ${golden_folder}.stamp
  DEPENDS ${golden_archive}
  COMMENT "Unpacking the golden data"
  VERBATIM)
add_custom_target(lowbit_golden DEPENDS ${golden_folder}.stamp)

# ---- Tests ----------------------------------------------------------------------------------------------------------

function(lowbit_add_program_test name)
  add_executable(${name} ${ARGN})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/host ${CMAKE_CURRENT_SOURCE_DIR})
  target_compile_definitions(${name} PRIVATE
    LOWBIT_COMMAND="$<TARGET_FILE:lowbit_cli>"
    LOWBIT_GOLDEN_FOLDER="${golden_folder}"
    LOWBIT_MODELS_FOLDER="${PROJECT_SOURCE_DIR}/examples/bdh/models"
    LOWBIT_SANITIZED=${LOWBIT_SANITIZED})
  target_link_libraries(${name} PRIVATE
    lowbit_options bdh ${LOWBIT_FMT} nlohmann_json::nlohmann_json GTest::gtest_main)
  target_precompile_headers(${name} PRIVATE <gtest/gtest.h> <nlohmann/json.hpp>)
  add_dependencies(${name} lowbit_cli)
endfunction()

# One process, since it also fails when a case is lost.
lowbit_add_program_test(lowbit_golden_tests golden_test.cpp process.cpp)
add_dependencies(lowbit_golden_tests lowbit_golden)
if(LOWBIT_SANITIZE)  # processes that take long to start
  set(golden_filter --gtest_filter=-*CommandTest*/reference)
endif()
add_test(NAME lowbit_golden_tests COMMAND lowbit_golden_tests ${golden_filter})
set_tests_properties(lowbit_golden_tests PROPERTIES LABELS parity TIMEOUT 600 ENVIRONMENT ${on_vulkan})

lowbit_add_program_test(lowbit_bdh_tests
  bdh_evaluation_test.cpp bdh_recurrence_test.cpp bdh_test.cpp model_file.cpp oracle.cpp)
lowbit_add_program_test(lowbit_cli_tests
  cli_model_test.cpp cli_op_test.cpp cli_output_test.cpp cli_test.cpp command_test.cpp model_file.cpp process.cpp)
include(GoogleTest)
gtest_discover_tests(lowbit_bdh_tests PROPERTIES LABELS unit TIMEOUT 600 DISCOVERY_TIMEOUT 60 ENVIRONMENT ${on_vulkan})
gtest_discover_tests(lowbit_cli_tests PROPERTIES LABELS unit TIMEOUT 600 DISCOVERY_TIMEOUT 60)

# The training script; skipped, with the reason printed, where PyTorch is not installed.
find_package(Python3 COMPONENTS Interpreter QUIET)
if(Python3_FOUND)
  add_test(NAME train COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/train_test.py)
  set_tests_properties(train PROPERTIES LABELS unit SKIP_RETURN_CODE 77 ENVIRONMENT OMP_NUM_THREADS=1)
endif()
