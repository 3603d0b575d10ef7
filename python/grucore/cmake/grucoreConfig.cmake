# find_package(grucore) of the Python package: headers, and models as code. The engine itself is not in a wheel: for
# grucore::grucore install grucore's folder cpp, or fetch it (docs/cpp.md).
# SPDX-License-Identifier: Apache-2.0
#
#   cmake -B build -DCMAKE_PREFIX_PATH="$(python -c 'import grucore; print(grucore.get_cmake_dir())')"
#
#   find_package(grucore REQUIRED)
#   grucore_add_model(firmware MODEL kws.gru)             # kws.h and kws.c, written while building
#   grucore_add_model(firmware MODEL kws.gru NAME words SELFTEST)

get_filename_component(_grucore_package "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)
get_filename_component(GRUCORE_PYTHON_PATH "${_grucore_package}/.." ABSOLUTE)
if(EXISTS "${_grucore_package}/include/grucore/version.h")
  set(_grucore_include "${_grucore_package}/include")
else()  # an editable installation: the source tree has them
  get_filename_component(_grucore_include "${_grucore_package}/../../cpp/include" ABSOLUTE)
endif()

if(NOT TARGET grucore::headers)
  add_library(grucore::headers INTERFACE IMPORTED)
  set_target_properties(grucore::headers PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${_grucore_include}")
endif()

# The Python that has grucore; any other one finds it by GRUCORE_PYTHON_PATH.
if(NOT GRUCORE_PYTHON)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  set(GRUCORE_PYTHON "${Python3_EXECUTABLE}")
endif()

# Writes the model as C code, and compiles it with the target. NAME is what all its names start with: that of the file
# if not given. NUMERICS is fused or muladd. SELFTEST compiles NAME_selftest too. STRIP leaves it out of the source.
function(grucore_add_model target)
  cmake_parse_arguments(PARSE_ARGV 1 of "SELFTEST;STRIP" "MODEL;NAME;NUMERICS" "")
  if(of_UNPARSED_ARGUMENTS OR NOT of_MODEL)
    message(FATAL_ERROR
      "grucore_add_model(<target> MODEL <file.gru> [NAME <name>] [NUMERICS fused|muladd] [SELFTEST] [STRIP])")
  endif()
  get_filename_component(model "${of_MODEL}" ABSOLUTE BASE_DIR "${CMAKE_CURRENT_SOURCE_DIR}")
  if(NOT of_NAME)
    get_filename_component(of_NAME "${model}" NAME_WE)
  endif()
  set(options --name ${of_NAME})
  if(of_NUMERICS)
    list(APPEND options --numerics ${of_NUMERICS})
  endif()
  if(of_STRIP)
    list(APPEND options --strip)
  endif()
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/${target}_models")
  set(source "${folder}/${of_NAME}.c")
  add_custom_command(OUTPUT "${source}" "${folder}/${of_NAME}.h"
    COMMAND ${CMAKE_COMMAND} -E env "PYTHONPATH=${GRUCORE_PYTHON_PATH}"
      ${GRUCORE_PYTHON} -m grucore export "${model}" -o "${folder}" ${options}
    DEPENDS "${model}" VERBATIM)
  target_sources(${target} PRIVATE "${source}")
  target_include_directories(${target} PRIVATE "${folder}")
  if(of_SELFTEST)
    string(TOUPPER ${of_NAME} upper)
    target_compile_definitions(${target} PRIVATE ${upper}_SELFTEST)
  endif()
  if(NOT MSVC)
    # The bits are defined: no compiler may fuse or reorder.
    set_property(SOURCE "${source}" APPEND PROPERTY COMPILE_OPTIONS -fno-fast-math -ffp-contract=off)
  endif()
endfunction()
