# torch brings the shared C++ runtime. With a second, static copy inside the plugin LAMMPS dies inside torch.
include(CheckCXXSourceRuns)
if(CMAKE_SYSTEM_NAME STREQUAL "Linux" AND NOT CMAKE_CROSSCOMPILING)
  set(CMAKE_REQUIRED_LIBRARIES ${CMAKE_DL_LIBS})
  check_cxx_source_runs([[
#include <cstring>
#include <dlfcn.h>
#include <exception>
int main() {
  Dl_info runtime;
  return !(dladdr(reinterpret_cast<void *>(&std::terminate), &runtime) && std::strstr(runtime.dli_fname, "libstdc++"));
}
]] RHOPOT_SHARED_RUNTIME)
  unset(CMAKE_REQUIRED_LIBRARIES)
  if(NOT RHOPOT_SHARED_RUNTIME)
    message(FATAL_ERROR "libstdc++ must be linked as a shared library, as torch does; ${CMAKE_CXX_COMPILER} links another or "
                        "a static one: remove -static-libstdc++ from LDFLAGS, or choose another compiler with CXX")
  endif()
endif()
