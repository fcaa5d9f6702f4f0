# The libraries that tests, benchmarks and examples stand on: the installed one, else a pinned release is downloaded.
# Each function may be called any number of times; the library itself depends on none of them.
include(FetchContent)

# tsenor_use(PACKAGE TARGET URL HASH): makes TARGET available from the installed PACKAGE, else from the archive at URL.
function(tsenor_use package target url hash)
  if(TARGET ${target})
    return()
  endif()
  find_package(${package} QUIET GLOBAL)
  if(TARGET ${target})
    return()
  endif()
  message(STATUS "${package} is not installed: downloading ${url}")
  FetchContent_Declare(${package} URL ${url} URL_HASH SHA256=${hash} DOWNLOAD_EXTRACT_TIMESTAMP OFF SYSTEM)
  FetchContent_MakeAvailable(${package})
endfunction()

# GTest::gtest_main
function(tsenor_use_gtest)
  set(INSTALL_GTEST OFF CACHE INTERNAL "")
  set(BUILD_GMOCK OFF CACHE INTERNAL "")
  tsenor_use(GTest GTest::gtest_main https://github.com/google/googletest/archive/refs/tags/v1.14.0.tar.gz
             8ad598c73ad796e0d8280b082cebd82a630d73e73cd3c70057938a6501bba5d7)
endfunction()

# benchmark::benchmark_main
function(tsenor_use_benchmark)
  set(BENCHMARK_ENABLE_TESTING OFF CACHE INTERNAL "")
  set(BENCHMARK_ENABLE_INSTALL OFF CACHE INTERNAL "")
  tsenor_use(benchmark benchmark::benchmark_main https://github.com/google/benchmark/archive/refs/tags/v1.8.3.tar.gz
             6bc180a57d23d4d9515519f92b0c83d61b05b5bab188961f36ac7b06b0d9e9ce)
endfunction()

# CLI11::CLI11
function(tsenor_use_cli11)
  tsenor_use(CLI11 CLI11::CLI11 https://github.com/CLIUtils/CLI11/archive/refs/tags/v2.4.2.tar.gz
             f2d893a65c3b1324c50d4e682c0cdc021dd0477ae2c048544f39eed6654b699a)
endfunction()

# nlohmann_json::nlohmann_json
function(tsenor_use_json)
  tsenor_use(nlohmann_json nlohmann_json::nlohmann_json
             https://github.com/nlohmann/json/releases/download/v3.11.3/json.tar.xz
             d6c65aca6b1ed68e7a182f4757257b107ae403032760ed6ef121c9d55e81757d)
endfunction()
