# Programs without a C++ library or a file system: the C API on this machine, the engine on a Cortex-M4.
# SPDX-License-Identifier: Apache-2.0

# A small model as a C array, with the outputs that this machine's engine gives.
grucore_program(make_model make_model.cpp)
set(small_model ${CMAKE_CURRENT_BINARY_DIR}/small_model/small_model.h)
file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/small_model)
add_custom_command(OUTPUT ${small_model} COMMAND make_model ${small_model} DEPENDS make_model)
add_custom_target(small_model ALL DEPENDS ${small_model})

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
  # Bits of all kinds of layers; size, stack and instructions of the keyword spotter's shape.
  foreach(model small.float32 small.int8 spotter.float32 spotter.int8 spotter.int8x8)
    string(REPLACE "." ";" parts ${model})
    list(GET parts 0 shape)
    list(GET parts 1 kind)
    set(folder ${CMAKE_CURRENT_BINARY_DIR}/cortex_m4/${model})
    file(MAKE_DIRECTORY ${folder})
    add_custom_command(OUTPUT ${folder}/small_model.h
      COMMAND make_model ${folder}/small_model.h ${kind} ${shape} DEPENDS make_model)
    list(APPEND models ${folder}/small_model.h)
    add_test(NAME cortex_m4.${model} COMMAND ${PROJECT_SOURCE_DIR}/examples/cortex_m4/build.sh ${folder} ${kind} ${shape})
    set_tests_properties(cortex_m4.${model} PROPERTIES TIMEOUT 300)
  endforeach()
  add_custom_target(cortex_m4_models ALL DEPENDS ${models})
elseif("$ENV{GRUCORE_REQUIRE_FREESTANDING}" STREQUAL "1")
  message(FATAL_ERROR "GRUCORE_REQUIRE_FREESTANDING=1, but arm-none-eabi-g++ or qemu-system-arm is missing")
endif()
