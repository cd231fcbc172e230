# SPDX-License-Identifier: Apache-2.0
# The installed command finds the torch it was built against; launch files and licence come along.
include(GNUInstallDirs)
set_target_properties(retain PROPERTIES INSTALL_RPATH "${RETAIN_RUNTIME_PATH}")
install(TARGETS retain RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(PROGRAMS launch/cluster/mpirun.sh launch/cluster/slurm.sbatch DESTINATION ${CMAKE_INSTALL_DATADIR}/retain/cluster)
install(FILES LICENSE CITATION.cff README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
