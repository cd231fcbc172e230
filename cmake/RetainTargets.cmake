# SPDX-License-Identifier: Apache-2.0
# retain_library(NAME …), retain_sources(NAME …) and the settings every target shares.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
find_program(RETAIN_CCACHE ccache)
if(RETAIN_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${RETAIN_CCACHE}")
  set(CMAKE_C_COMPILER_LAUNCHER "${RETAIN_CCACHE}")
  add_compile_options($<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
endif()

add_library(retain_settings INTERFACE)
target_compile_options(retain_settings INTERFACE -Wall -Wextra -Wpedantic -Wno-unknown-pragmas $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
target_include_directories(retain_settings INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:include/retain>)
target_include_directories(retain_settings SYSTEM INTERFACE
  ${TOMLPLUSPLUS_INCLUDE} ${CLI11_INCLUDE} ${XXHASH_INCLUDE} ${Boost_INCLUDE_DIRS})
if(RETAIN_SANITIZE)
  target_compile_options(retain_settings INTERFACE -fsanitize=${RETAIN_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(retain_settings INTERFACE -fsanitize=${RETAIN_SANITIZE})
endif()

# torch's headers are compiled once, with the first target that asks; every other target reuses the result. That works
# because all targets share one set of flags (the compiler's default PIE included).
function(retain_precompiled_torch target)
  get_property(owner GLOBAL PROPERTY RETAIN_PCH_OWNER)
  if(owner)
    target_precompile_headers(${target} REUSE_FROM ${owner})
  else()
    target_precompile_headers(${target} PRIVATE "${PROJECT_SOURCE_DIR}/cmake/torch_pch.h")
    set_property(GLOBAL PROPERTY RETAIN_PCH_OWNER ${target})
  endif()
endfunction()

# retain_library(framework LINKS spdlog::spdlog …): a static library `retain_framework`, filled by retain_sources().
function(retain_library name)
  cmake_parse_arguments(arg "TORCH" "" "LINKS" ${ARGN})
  add_library(retain_${name} STATIC)
  add_library(Retain::${name} ALIAS retain_${name})
  target_link_libraries(retain_${name} PUBLIC retain_settings ${arg_LINKS})
  set_target_properties(retain_${name} PROPERTIES EXPORT_NAME ${name})
  if(arg_TORCH)
    target_link_libraries(retain_${name} PUBLIC retain_torch)
    retain_precompiled_torch(retain_${name})
  endif()
endfunction()

# retain_sources(framework a.cpp b.cpp): paths relative to the calling CMakeLists.txt.
function(retain_sources name)
  foreach(source ${ARGN})
    target_sources(retain_${name} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}/${source}")
  endforeach()
endfunction()
