# Imported target `torch_wheel`: headers and CPU libraries of the torch wheel that ${Python_EXECUTABLE} sees.
#
# The wheel's own CMake package asks for a CUDA toolkit when the wheel is a CUDA build; the operators need only the CPU side,
# so the three libraries are named here.
find_package(Python REQUIRED COMPONENTS Interpreter)
execute_process(
  COMMAND ${Python_EXECUTABLE} -c
          "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')"
  OUTPUT_VARIABLE RHOPOT_TORCH_DIR OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
if(NOT IS_DIRECTORY "${RHOPOT_TORCH_DIR}/include/ATen")
  message(FATAL_ERROR "torch must be installed for ${Python_EXECUTABLE}, found '${RHOPOT_TORCH_DIR}'; pip install torch==2.13.0")
endif()

# The version is kept beside the libraries: it is compared with that of the running torch before they are opened.
execute_process(
  COMMAND ${Python_EXECUTABLE} -c "from importlib.metadata import version; print(version('torch'), end='')"
  OUTPUT_VARIABLE RHOPOT_TORCH_VERSION COMMAND_ERROR_IS_FATAL ANY)
if(DEFINED RHOPOT_INSTALL_DIR)
  file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/torch_version.txt CONTENT "${RHOPOT_TORCH_VERSION}\n")
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/torch_version.txt DESTINATION ${RHOPOT_INSTALL_DIR})
endif()

add_library(torch_wheel INTERFACE)
target_include_directories(torch_wheel SYSTEM INTERFACE
  "${RHOPOT_TORCH_DIR}/include" "${RHOPOT_TORCH_DIR}/include/torch/csrc/api/include")
# Files include the headers of the tensor functions they call, not those of all two thousand: seconds of compilation for each.
target_compile_definitions(torch_wheel INTERFACE AT_PER_OPERATOR_HEADERS)
target_link_directories(torch_wheel INTERFACE "${RHOPOT_TORCH_DIR}/lib")
target_link_libraries(torch_wheel INTERFACE torch_cpu c10)
