# cmake -P cmake/test.cmake: builds and runs all tests that need no GPU.
include(${CMAKE_CURRENT_LIST_DIR}/run_workflow.cmake)
run_workflow(test compiler ninja cli11 json gtest lemon)
