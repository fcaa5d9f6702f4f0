# run_workflow(PRESET NEED...): installs what is missing of NEED, then runs the workflow preset. For `cmake -P` scripts.
#
# With apt-get, and as root or with a sudo that asks no password, Debian's packages are installed: the line that does so is
# printed before. With -DINSTALL=OFF before -P nothing is installed. What is still missing the project downloads while it is
# configured, or, where it cannot, it is named with the line that installs it, and nothing is run.
cmake_minimum_required(VERSION 3.25)

# Each need: its Debian package, and a program or header by which it is known to be there.
set(compiler_package g++)
set(compiler_programs $ENV{CXX} c++ g++ clang++)
set(ninja_package ninja-build)
set(ninja_programs ninja ninja-build)
set(cli11_package libcli11-dev)
set(cli11_header CLI/CLI.hpp)
set(json_package nlohmann-json3-dev)
set(json_header nlohmann/json.hpp)
set(gtest_package libgtest-dev)
set(gtest_header gtest/gtest.h)
set(lemon_package liblemon-dev)
set(lemon_header lemon/network_simplex.h)

set(downloadable cli11 json gtest)  # cmake/dependencies.cmake knows how
set(optional lemon)                 # tests that need it are skipped without it

# Sets `result` to those of the given needs that are not there.
function(find_missing result)
  set(missing)
  foreach(need IN LISTS ARGN)
    if(DEFINED ${need}_programs)
      find_program(found NAMES ${${need}_programs} NO_CACHE)
    else()
      find_path(found ${${need}_header} PATHS /usr/include /usr/local/include /opt/homebrew/include NO_CACHE)
    endif()
    if(NOT found)
      list(APPEND missing ${need})
    endif()
    unset(found)
  endforeach()
  set(${result} ${missing} PARENT_SCOPE)
endfunction()

# Installs Debian packages where that is possible without asking anybody.
function(install_debian_packages)
  find_program(apt_get apt-get NO_CACHE)
  if(NOT apt_get)
    return()
  endif()
  execute_process(COMMAND id -u OUTPUT_VARIABLE user OUTPUT_STRIP_TRAILING_WHITESPACE)
  set(as_root)
  if(NOT user EQUAL 0)
    set(as_root sudo -n)
    execute_process(COMMAND ${as_root} true RESULT_VARIABLE refused OUTPUT_QUIET ERROR_QUIET)
    if(refused)
      return()
    endif()
  endif()
  set(apt ${as_root} env DEBIAN_FRONTEND=noninteractive ${apt_get})
  set(line ${as_root} apt-get install -y --no-install-recommends ${ARGN})
  list(JOIN line " " line)
  message(STATUS "Installing what is missing: ${line}\n   (-DINSTALL=OFF before -P leaves that to you)")
  execute_process(COMMAND ${apt} update -qq OUTPUT_QUIET)
  execute_process(COMMAND ${apt} install -y -qq --no-install-recommends ${ARGN}
                  OUTPUT_VARIABLE output ERROR_VARIABLE output RESULT_VARIABLE failed)
  if(failed)
    message(STATUS "apt-get could not install them:\n${output}")
  endif()
endfunction()

# Stops with the line that installs the given needs.
function(stop_for_missing)
  set(packages)
  foreach(need IN LISTS ARGN)
    list(APPEND packages ${${need}_package})
  endforeach()
  list(JOIN packages " " packages)
  find_program(apt_get apt-get NO_CACHE)
  if(apt_get)
    message(FATAL_ERROR "Something is missing. Type this, then run this command again:\n"
                        "  sudo apt-get update && sudo apt-get install -y ${packages}")
  endif()
  message(FATAL_ERROR "Something is missing. Install what Debian calls '${packages}', then run this command again.")
endfunction()

function(install_missing)
  find_missing(missing ${ARGN})
  if(NOT missing)
    return()
  endif()
  set(packages)
  foreach(need IN LISTS missing)
    list(APPEND packages ${${need}_package})
  endforeach()
  if(NOT DEFINED INSTALL OR INSTALL)
    install_debian_packages(${packages})
  endif()

  find_missing(missing ${ARGN})
  list(REMOVE_ITEM missing ${optional})
  set(indispensable ${missing})
  list(REMOVE_ITEM indispensable ${downloadable})
  if(missing AND NOT indispensable)
    file(DOWNLOAD https://github.com STATUS online INACTIVITY_TIMEOUT 10)
    list(GET online 0 offline)
  endif()
  if(indispensable OR offline)
    stop_for_missing(${missing})
  endif()
endfunction()

function(run_workflow preset)
  install_missing(${ARGN})
  cmake_host_system_information(RESULT cores QUERY NUMBER_OF_LOGICAL_CORES)
  if(NOT DEFINED ENV{CTEST_PARALLEL_LEVEL})
    set(ENV{CTEST_PARALLEL_LEVEL} ${cores})
  endif()
  execute_process(
    COMMAND ${CMAKE_COMMAND} --workflow --preset ${preset}
    WORKING_DIRECTORY ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/..
    RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "The workflow ${preset} failed; what went wrong stands above.")
  endif()
endfunction()
