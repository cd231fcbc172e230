# SPDX-License-Identifier: Apache-2.0
# retain_test(NAME SOURCES … [RANKS n …] [LABELS …] [TIMEOUT seconds] [LINKS …])
# Builds one GoogleTest program; with RANKS it runs once under mpirun for each rank count named.
# Under sanitizers programs of more than two ranks are left out, and what libtorch and MPI do (not instrumented) is suppressed by
# library; tests of the framework alone have no suppressions.
# Tests find their fixtures at RETAIN_FIXTURES (tests/fixtures) and the built command at RETAIN_COMMAND.
if(RETAIN_SANITIZE)
  add_library(retain_keep_plugins MODULE "${PROJECT_SOURCE_DIR}/tests/sanitizers/keep_plugins.c")
  find_program(RETAIN_SYMBOLIZER NAMES llvm-symbolizer REQUIRED)  # rules name functions and libraries
endif()

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
  set(sanitizing)
  if(RETAIN_SANITIZE)
    math(EXPR arg_TIMEOUT "10 * ${arg_TIMEOUT}")
    set(rules "${PROJECT_SOURCE_DIR}/tests/sanitizers")
    set(sanitizing "RETAIN_SANITIZE=${RETAIN_SANITIZE}" "UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1" "ASAN_OPTIONS=detect_stack_use_after_return=0"
      "ASAN_SYMBOLIZER_PATH=${RETAIN_SYMBOLIZER}" "TSAN_SYMBOLIZER_PATH=${RETAIN_SYMBOLIZER}")
    if(arg_LINKS STREQUAL "Retain::framework")
      list(APPEND sanitizing "TSAN_OPTIONS=halt_on_error=1")
    else()
      add_dependencies(test_${name} retain_keep_plugins)
      list(APPEND sanitizing "LSAN_OPTIONS=suppressions=${rules}/lsan.txt:print_suppressions=0"
        "TSAN_OPTIONS=halt_on_error=1:suppressions=${rules}/tsan.txt:ignore_noninstrumented_modules=1"
        "LD_PRELOAD=$<TARGET_FILE:retain_keep_plugins>")
    endif()
  endif()
  if(NOT arg_RANKS)
    add_test(NAME ${name} COMMAND test_${name})
    set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT} PROCESSORS 1 ENVIRONMENT "${sanitizing}")
    return()
  endif()
  foreach(ranks ${arg_RANKS})
    if(RETAIN_SANITIZE AND ranks GREATER 2)
      continue()
    endif()
    add_test(NAME ${name}.${ranks} COMMAND ${MPIEXEC_EXECUTABLE} --oversubscribe -np ${ranks} $<TARGET_FILE:test_${name}>)
    set_tests_properties(${name}.${ranks} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT} PROCESSORS 2
      ENVIRONMENT "${sanitizing};OMP_NUM_THREADS=1;OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;OMPI_MCA_mpi_yield_when_idle=1;OMPI_MCA_hwloc_base_binding_policy=none")
  endforeach()
endfunction()
