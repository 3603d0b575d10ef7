# Builds outside of this one: consumers/consume.sh, and compilers that reorder floats.
# SPDX-License-Identifier: Apache-2.0
if(CMAKE_CROSSCOMPILING OR GRUCORE_SANITIZE OR WIN32)
  return()
endif()
set(small_gru ${CMAKE_CURRENT_BINARY_DIR}/small_model/small.gru)
add_custom_command(OUTPUT ${small_gru} COMMAND make_model ${small_gru} DEPENDS make_model)
add_custom_target(small_gru ALL DEPENDS ${small_gru})
add_test(NAME consumers
  COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/consumers/consume.sh ${CMAKE_CURRENT_BINARY_DIR}/consumers ${small_gru})
set_tests_properties(consumers PROPERTIES TIMEOUT 600)
if(NOT MSVC)
  add_test(NAME fast_math COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/fast_math.sh ${CMAKE_CXX_COMPILER})
endif()
