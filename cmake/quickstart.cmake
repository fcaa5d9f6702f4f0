# cmake -P cmake/quickstart.cmake: builds build/quickstart/bin/tsenor and runs it on a real weight matrix.
include(${CMAKE_CURRENT_LIST_DIR}/run_workflow.cmake)
run_workflow(quickstart compiler ninja cli11 json)
