# SPDX-License-Identifier: Apache-2.0
# The libtorch to build against: RETAIN_TORCH (CMake or environment) names a `torch` folder holding include/ and lib/:
# the one inside a Python package or an unpacked libtorch. cmake/setup.sh unpacks the pinned wheel and passes it.
if(NOT RETAIN_TORCH)
  set(RETAIN_TORCH "$ENV{RETAIN_TORCH}")
endif()
if(NOT RETAIN_TORCH)
  message(FATAL_ERROR "RETAIN_TORCH is not set. Run `make build` (it fetches the pinned torch wheel), or pass "
                      "-DRETAIN_TORCH=<folder with include/ATen and lib/libtorch_cpu.so>.")
endif()
set(RETAIN_TORCH "${RETAIN_TORCH}" CACHE PATH "Folder of torch's include/ and lib/" FORCE)
foreach(needed include/ATen/ATen.h lib/libtorch_cpu.so lib/libc10.so)
  if(NOT EXISTS "${RETAIN_TORCH}/${needed}")
    message(FATAL_ERROR "RETAIN_TORCH=${RETAIN_TORCH} has no ${needed}; name the folder that holds include/ and lib/.")
  endif()
endforeach()

add_library(retain_torch INTERFACE)
target_include_directories(retain_torch SYSTEM INTERFACE
  "${RETAIN_TORCH}/include" "${RETAIN_TORCH}/include/torch/csrc/api/include")
target_link_libraries(retain_torch INTERFACE
  "${RETAIN_TORCH}/lib/libtorch_cpu.so" "${RETAIN_TORCH}/lib/libc10.so")
# One OpenMP runtime: the wheel's libgomp where it has one, else the compiler's.
# None under sanitizers: clang would bring its own, and neither it nor libgomp says what its threads wait for.
if(NOT RETAIN_SANITIZE)
  target_compile_options(retain_torch INTERFACE ${OpenMP_CXX_FLAGS})
endif()
if(EXISTS "${RETAIN_TORCH}/lib/libgomp.so.1")
  target_link_libraries(retain_torch INTERFACE "${RETAIN_TORCH}/lib/libgomp.so.1")
else()
  target_link_libraries(retain_torch INTERFACE OpenMP::OpenMP_CXX)
endif()
# libtorch_cpu of a CUDA wheel needs libcudart and libcupti; its own RPATH finds them next to it (nvidia/cu13/lib).
get_filename_component(RETAIN_TORCH_SITE "${RETAIN_TORCH}" DIRECTORY)
file(GLOB RETAIN_TORCH_EXTRA_LIBS LIST_DIRECTORIES true "${RETAIN_TORCH_SITE}/nvidia/*/lib")
set(RETAIN_RUNTIME_PATH "${RETAIN_TORCH}/lib" ${RETAIN_TORCH_EXTRA_LIBS})
foreach(folder ${RETAIN_RUNTIME_PATH})
  target_link_options(retain_torch INTERFACE "-Wl,-rpath-link,${folder}")
endforeach()
list(APPEND CMAKE_BUILD_RPATH ${RETAIN_RUNTIME_PATH})
