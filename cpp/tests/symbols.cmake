# The symbol gate: what check_symbols.py says of the engine's objects, as built and at -O0.
# SPDX-License-Identifier: Apache-2.0

# Sanitizers put symbols of their own into every object; other formats than ELF have other tools.
find_package(Python3 COMPONENTS Interpreter)
if(NOT Python3_FOUND OR NOT CMAKE_EXECUTABLE_FORMAT STREQUAL "ELF" OR GRUCORE_SANITIZE)
  return()
endif()

function(grucore_symbol_test name library)
  add_test(NAME ${name}
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/check_symbols.py objects
      --nm ${CMAKE_NM} --readelf ${CMAKE_READELF} "$<TARGET_OBJECTS:${library}>"
    COMMAND_EXPAND_LISTS)
endfunction()

grucore_symbol_test(symbols grucore)

# At -O0 nothing is inlined, so a shared inline function that leaks an instruction set shows there.
add_library(grucore_objects_O0 OBJECT ${GRUCORE_SOURCES})
target_link_libraries(grucore_objects_O0 PRIVATE grucore_settings grucore_engine_settings)
target_compile_options(grucore_objects_O0 PRIVATE -O0 -g0)
grucore_symbol_test(symbols_O0 grucore_objects_O0)
