# The engine as firmware configures it, on this machine: parts/config.h.
# SPDX-License-Identifier: Apache-2.0
add_library(grucore_parts STATIC ${GRUCORE_SOURCES})
target_include_directories(grucore_parts PUBLIC ${PROJECT_SOURCE_DIR}/include PRIVATE ${PROJECT_SOURCE_DIR}/tests)
target_compile_definitions(grucore_parts PRIVATE GRUCORE_CONFIG="parts/config.h")
target_link_libraries(grucore_parts PRIVATE grucore_settings grucore_engine_settings)
add_executable(parts parts/parts.cpp)
target_include_directories(parts PRIVATE ${PROJECT_SOURCE_DIR}/tests ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(parts PRIVATE grucore_parts grucore_settings)
add_test(NAME parts COMMAND parts)
