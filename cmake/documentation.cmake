# cmake -P cmake/documentation.cmake: the reference of the public headers, build/documentation/html/index.html, by
# doxygen (Debian: doxygen). Fails if doxygen warns about anything. -D folder=FOLDER, before -P, puts it elsewhere.
cmake_minimum_required(VERSION 3.25)

if(NOT folder)
  set(folder ${CMAKE_CURRENT_LIST_DIR}/../build/documentation)
endif()
find_program(doxygen doxygen NO_CACHE)
if(NOT doxygen)
  message(FATAL_ERROR "doxygen is not installed. On Debian: apt-get install doxygen")
endif()

cmake_path(ABSOLUTE_PATH folder BASE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR} NORMALIZE)
file(MAKE_DIRECTORY ${folder})
file(READ ${CMAKE_CURRENT_LIST_DIR}/Doxyfile settings)
file(WRITE ${folder}/Doxyfile "${settings}\nOUTPUT_DIRECTORY = \"${folder}\"\n")
execute_process(COMMAND ${doxygen} ${folder}/Doxyfile WORKING_DIRECTORY ${CMAKE_CURRENT_LIST_DIR}/.. RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "The headers' comments are incomplete or wrong; doxygen's warnings are above.")
endif()
message(STATUS "Open ${folder}/html/index.html")
