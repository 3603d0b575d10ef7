# What an installation has: library, headers, and what CMake and pkg-config need to find them.
# SPDX-License-Identifier: Apache-2.0
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/grucore)
install(TARGETS grucore EXPORT grucore
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/grucore DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT grucore NAMESPACE grucore:: FILE grucoreTargets.cmake DESTINATION ${package})

configure_package_config_file(cmake/grucoreConfig.cmake.in ${PROJECT_BINARY_DIR}/grucoreConfig.cmake
  INSTALL_DESTINATION ${package} NO_SET_AND_CHECK_MACRO)
# Until 1.0 a minor version may change what there is.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/grucoreConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/grucoreConfig.cmake ${PROJECT_BINARY_DIR}/grucoreConfigVersion.cmake
  DESTINATION ${package})

# Relative to where the file lies, so that an installation may be moved.
file(RELATIVE_PATH prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" prefix "${prefix}")
if(BUILD_SHARED_LIBS)
  set(shared -DGRUCORE_SHARED)
endif()
configure_file(cmake/grucore.pc.in ${PROJECT_BINARY_DIR}/grucore.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/grucore.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
