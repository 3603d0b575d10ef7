# Programs without a C++ library or a file system: the C API on this machine, the engine on a Cortex-M4.
# SPDX-License-Identifier: Apache-2.0

# A small model as a C array, with the outputs that this machine's engine gives.
grucore_program(make_model make_model.cpp)
set(small_model ${CMAKE_CURRENT_BINARY_DIR}/small_model/small_model.h)
file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/small_model)
add_custom_command(OUTPUT ${small_model} COMMAND make_model ${small_model} DEPENDS make_model)
set(small_model_int8 ${CMAKE_CURRENT_BINARY_DIR}/small_model_int8/small_model.h)
file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/small_model_int8)
add_custom_command(OUTPUT ${small_model_int8} COMMAND make_model ${small_model_int8} int8 DEPENDS make_model)
add_custom_target(small_model ALL DEPENDS ${small_model} ${small_model_int8})

# Linked by the C compiler, so that nothing of the C++ library can be missed.
add_executable(c_api_test c_api_test.c)
add_dependencies(c_api_test small_model)
target_include_directories(c_api_test PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/small_model)
target_link_libraries(c_api_test PRIVATE grucore grucore_settings)
if(NOT GRUCORE_SANITIZE)
  set_target_properties(c_api_test PROPERTIES LINKER_LANGUAGE C)
endif()
add_test(NAME c_api_test COMMAND c_api_test)

# Where GRUCORE_REQUIRE_FREESTANDING=1 is in the environment, a missing tool is an error and not a skip.
find_program(GRUCORE_ARM_CXX arm-none-eabi-g++)
find_program(GRUCORE_QEMU_ARM qemu-system-arm)
if(CMAKE_CROSSCOMPILING OR GRUCORE_SANITIZE)
  return()
elseif(GRUCORE_ARM_CXX AND GRUCORE_QEMU_ARM)
  add_test(NAME cortex_m4
    COMMAND ${PROJECT_SOURCE_DIR}/examples/cortex_m4/build.sh ${CMAKE_CURRENT_BINARY_DIR}/small_model)
  add_test(NAME cortex_m4_int8
    COMMAND ${PROJECT_SOURCE_DIR}/examples/cortex_m4/build.sh ${CMAKE_CURRENT_BINARY_DIR}/small_model_int8 int8)
  set_tests_properties(cortex_m4 cortex_m4_int8 PROPERTIES TIMEOUT 300)
elseif("$ENV{GRUCORE_REQUIRE_FREESTANDING}" STREQUAL "1")
  message(FATAL_ERROR "GRUCORE_REQUIRE_FREESTANDING=1, but arm-none-eabi-g++ or qemu-system-arm is missing")
endif()
