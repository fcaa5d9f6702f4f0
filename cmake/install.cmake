# Installs the headers and a package that find_package(tsenor) finds.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/tsenor)

install(DIRECTORY include/tsenor DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.hpp PATTERN *.cuh)
install(TARGETS tsenor_cpu tsenor_cuda EXPORT tsenor-targets INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT tsenor-targets NAMESPACE tsenor:: DESTINATION ${package_dir})

configure_package_config_file(cmake/tsenor-config.cmake.in tsenor-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(tsenor-config-version.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/tsenor-config.cmake ${PROJECT_BINARY_DIR}/tsenor-config-version.cmake
        DESTINATION ${package_dir})
