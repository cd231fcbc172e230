# SPDX-License-Identifier: Apache-2.0
# retain_test(NAME SOURCES … [RANKS n …] [LABELS …] [TIMEOUT seconds] [LINKS …])
# Builds one GoogleTest program; with RANKS it runs once under mpirun for each rank count named.
# Tests find their fixtures at RETAIN_FIXTURES (tests/fixtures) and the built command at RETAIN_COMMAND.
function(retain_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;RANKS;LABELS;LINKS" ${ARGN})
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  add_executable(test_${name} ${arg_SOURCES})
  if(NOT arg_LINKS)
    set(arg_LINKS Retain::recipes)
  endif()
  target_link_libraries(test_${name} PRIVATE retain_test_main ${arg_LINKS})
  if(arg_LINKS MATCHES "Retain::(parallel|models|recipes|launch)")
    retain_precompiled_torch(test_${name})
  endif()
  target_compile_definitions(test_${name} PRIVATE
    RETAIN_FIXTURES="${PROJECT_SOURCE_DIR}/tests/fixtures" RETAIN_COMMAND="$<TARGET_FILE:retain>"
    RETAIN_SOURCE="${PROJECT_SOURCE_DIR}")
  if(NOT arg_RANKS)
    add_test(NAME ${name} COMMAND test_${name})
    set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT} PROCESSORS 1)
    return()
  endif()
  foreach(ranks ${arg_RANKS})
    add_test(NAME ${name}.${ranks} COMMAND ${MPIEXEC_EXECUTABLE} --oversubscribe -np ${ranks} $<TARGET_FILE:test_${name}>)
    set_tests_properties(${name}.${ranks} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT} PROCESSORS 2
      ENVIRONMENT "OMP_NUM_THREADS=1;OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;OMPI_MCA_mpi_yield_when_idle=1;OMPI_MCA_hwloc_base_binding_policy=none")
  endforeach()
endfunction()
