# tsenor_add_test(NAME SOURCES... [LABELS LABEL...])
#
# A GoogleTest program, each of its tests known to ctest by its own name. It may include what lies in tests/, and with a
# .cu among its sources the CUDA headers too. Tests that call GTEST_SKIP() are listed by ctest as skipped.
include(GoogleTest)

function(tsenor_add_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LABELS")
  tsenor_use_gtest()

  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE tsenor::cpu GTest::gtest_main tsenor_warnings)
  # The emulated warp's jumps between stacks are errors to the longjmp of _FORTIFY_SOURCE, which some compilers switch on.
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-U_FORTIFY_SOURCE>)
  if(arg_UNPARSED_ARGUMENTS MATCHES "\\.cu(;|$)")
    target_link_libraries(${name} PRIVATE tsenor::tsenor)
  endif()
  if(arg_LABELS)
    set(labels PROPERTIES LABELS "${arg_LABELS}")
  endif()
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 ${labels})
endfunction()
