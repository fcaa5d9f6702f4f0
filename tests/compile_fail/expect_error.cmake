# Succeeds if COMPILE, a command, fails on SOURCE with an error that matches MESSAGE.
execute_process(COMMAND ${COMPILE} ${SOURCE} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(result EQUAL 0)
  message(FATAL_ERROR "${SOURCE} compiles, and should not")
endif()
if(NOT output MATCHES "error[^\n]*${MESSAGE}")
  message(FATAL_ERROR "no error says '${MESSAGE}':\n${output}")
endif()
