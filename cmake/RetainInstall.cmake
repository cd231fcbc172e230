# SPDX-License-Identifier: Apache-2.0
include(GNUInstallDirs)
install(TARGETS retain RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
