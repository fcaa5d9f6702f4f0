# What tests, benchmarks and examples share, and a user of the library never sees.
list(APPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})
include(dependencies)
include(tsenor_add_test)

if(PROJECT_IS_TOP_LEVEL)
  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Release, RelWithDebInfo or Debug" FORCE)
  endif()
  if(NOT CMAKE_RUNTIME_OUTPUT_DIRECTORY)
    set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  endif()
  set(CMAKE_CUDA_ARCHITECTURES "80;90" CACHE STRING "Compute capabilities that the project's own programs are built for")
endif()

set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)

if(TSENOR_CUDA)
  if(NOT CMAKE_CUDA_COMPILER AND TSENOR_NVCC)
    set(CMAKE_CUDA_COMPILER ${TSENOR_NVCC})
  endif()
  enable_language(CUDA)
  set(CMAKE_CUDA_STANDARD 17)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_EXTENSIONS OFF)
endif()

# Warnings for the project's own programs. -Wno-psabi: passing SIMD vectors by value between inlined functions is meant,
# GCC's note about their calling convention is of no use here.
add_library(tsenor_warnings INTERFACE)
set(warnings -Wall -Wextra -Wno-psabi)
list(JOIN warnings "," host_warnings)
target_compile_options(tsenor_warnings INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${warnings}>"
                                                 "$<$<COMPILE_LANG_AND_ID:CUDA,NVIDIA>:-Xcompiler=${host_warnings}>")
