# The engine as firmware configures it, on this machine: parts/config.h.
# SPDX-License-Identifier: Apache-2.0
add_library(grucore_parts STATIC ${GRUCORE_SOURCES})
target_include_directories(grucore_parts PUBLIC ${PROJECT_SOURCE_DIR}/include PRIVATE ${PROJECT_SOURCE_DIR}/tests)
target_compile_definitions(grucore_parts PRIVATE GRUCORE_CONFIG="parts/config.h")
target_link_libraries(grucore_parts PRIVATE grucore_settings grucore_engine_settings)
add_executable(parts parts/parts.cpp)
target_include_directories(parts PRIVATE ${PROJECT_SOURCE_DIR}/tests/support ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(parts PRIVATE grucore_parts grucore_settings)
add_test(NAME parts COMMAND parts)

# One table with all of its parts: tests of layers again, for sanitizers above all.
add_library(grucore_one_table STATIC ${GRUCORE_SOURCES})
target_include_directories(grucore_one_table PUBLIC ${PROJECT_SOURCE_DIR}/include)
target_compile_definitions(grucore_one_table PRIVATE GRUCORE_ONLY_SCALAR)
target_link_libraries(grucore_one_table PRIVATE grucore_settings grucore_engine_settings)
foreach(name layers_test graph_test time_test quantized_test)
  add_executable(one_table_${name} ${name}.cpp)
  target_include_directories(one_table_${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/support ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(one_table_${name} PRIVATE grucore_one_table grucore_settings)
  add_test(NAME one_table_${name} COMMAND one_table_${name})
endforeach()
