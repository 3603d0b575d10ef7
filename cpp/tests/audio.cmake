# The audio example, watched from outside: audio/run.sh.
# SPDX-License-Identifier: Apache-2.0
if(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux" OR CMAKE_CROSSCOMPILING OR GRUCORE_SANITIZE)
  return()
endif()
add_executable(audio ${PROJECT_SOURCE_DIR}/examples/audio/main.cpp)
target_link_libraries(audio PRIVATE grucore grucore_settings)
add_executable(pluck audio/pluck.cpp)
add_library(counting SHARED audio/counting.c)
target_link_libraries(counting PRIVATE ${CMAKE_DL_LIBS})
add_test(NAME audio
  COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/audio/run.sh $<TARGET_FILE:audio> $<TARGET_FILE:pluck> $<TARGET_FILE:counting>
    ${PROJECT_SOURCE_DIR}/examples/audio/amp.gru ${CMAKE_CURRENT_BINARY_DIR}/audio_files)
