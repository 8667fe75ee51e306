# The LAMMPS plugin: rhopotplugin.so (thin, opened at every LAMMPS start) and librhopot_lammps.so (opened by the pair style).
include(cmake/lammps_headers.cmake)

# Neither links LAMMPS or MPI: their symbols are those of the program that opens the plugin.
function(rhopot_plugin_target name)
  target_include_directories(${name} SYSTEM PRIVATE ${RHOPOT_LAMMPS_INCLUDE_DIRS})
  target_compile_definitions(${name} PRIVATE ${RHOPOT_LAMMPS_DEFINITIONS})
  target_compile_options(${name} PRIVATE -Wall -Wextra -Wno-unused-parameter
    "-ffile-prefix-map=${CMAKE_CURRENT_SOURCE_DIR}/=")
  install(TARGETS ${name} LIBRARY DESTINATION ${RHOPOT_INSTALL_DIR})
endfunction()

add_library(rhopotplugin MODULE plugin_entry.cpp)
set_target_properties(rhopotplugin PROPERTIES PREFIX "")
target_link_libraries(rhopotplugin PRIVATE ${CMAKE_DL_LIBS})
rhopot_plugin_target(rhopotplugin)

set(pair_style pair_rhopot.cpp load_model.cpp device_choice.cpp agreement.cpp evaluator.cpp exclusions.cpp local_evaluator.cpp
    layered_evaluator.cpp ghost_exchange.cpp edge_graph.cpp global_evaluator.cpp type_check.cpp gathered_structure.cpp)
set(model_file archive.cpp card_rules.cpp model_file.cpp)
set(torch_model torch_model.cpp torch_local.cpp torch_global.cpp threads.cpp)
set(metadynamics metadynamics/fix_metad.cpp metadynamics/fix_metad_files.cpp metadynamics/group_variable.cpp metadynamics/walkers.cpp metadynamics/settings.cpp
    metadynamics/bias.cpp metadynamics/plumed_files.cpp)
set(cv_file metadynamics/cv_file.cpp)
set(torch_cv metadynamics/torch_collective_variable.cpp)
add_library(rhopot_lammps SHARED ${pair_style} ${model_file} ${torch_model} ${metadynamics} ${cv_file} ${torch_cv})
foreach(group pair_style model_file torch_model metadynamics cv_file torch_cv)
  rhopot_compile_as_one(rhopot_lammps ${group} ${${group}})
endforeach()
# --no-as-needed: the operators are used by name only, so the linker sees no symbol that would keep their library.
target_include_directories(rhopot_lammps PRIVATE ${RHOPOT_POTENTIALS})
target_link_libraries(rhopot_lammps PRIVATE -Wl,--no-as-needed rhopot_operators torch_wheel ${CMAKE_DL_LIBS})
rhopot_plugin_target(rhopot_lammps)
