# SPDX-License-Identifier: Apache-2.0
# Every header compiles alone: one source a header that includes it and nothing else, without precompiled headers.
# `headers_framework` is part of the build. It leaves out what the build proves anyway: a header that its own source includes first.
# On the floors above the precompiled header hides what is missing, so all of theirs are in `headers_torch`: 1 to 2 s a header,
# built by `make headers`.
function(retain_headers target library)
  foreach(folder ${ARGN})
    file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/${folder}/*.h")
    if(NOT RETAIN_CUDA)
      list(FILTER headers EXCLUDE REGEX "/nccl_(handle|work)\\.h$")
    endif()
    foreach(header ${headers})
      string(REGEX REPLACE "\\.h$" ".cpp" own "${PROJECT_SOURCE_DIR}/${header}")
      set(first "")
      if(folder STREQUAL "framework" AND EXISTS "${own}")
        file(STRINGS "${own}" first REGEX "^#include" LIMIT_COUNT 1)
      endif()
      if(first STREQUAL "#include \"${header}\"")
        continue()
      endif()
      set(source "${PROJECT_BINARY_DIR}/headers/${header}.cpp")
      file(CONFIGURE OUTPUT "${source}" CONTENT "#include \"@header@\"\n" @ONLY)
      list(APPEND sources "${source}")
    endforeach()
  endforeach()
  add_library(${target} OBJECT EXCLUDE_FROM_ALL ${sources})
  target_link_libraries(${target} PRIVATE ${library})
  target_compile_options(${target} PRIVATE -O0 -g0)
endfunction()

retain_headers(headers_framework Retain::framework framework)
set_target_properties(headers_framework PROPERTIES EXCLUDE_FROM_ALL OFF)
retain_headers(headers_torch Retain::recipes parallel models recipes launch)
