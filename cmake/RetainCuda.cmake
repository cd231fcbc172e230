# SPDX-License-Identifier: Apache-2.0
# What the CUDA and NCCL back ends need, as the target retain_cuda: the CUDA runtime, NCCL, and torch's CUDA libraries.
find_package(CUDAToolkit 12 REQUIRED)
find_path(NCCL_INCLUDE nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS} ENV NCCL_HOME PATH_SUFFIXES include REQUIRED)
find_library(NCCL_LIBRARY NAMES nccl libnccl.so.2 HINTS "${CUDAToolkit_LIBRARY_DIR}" "${NCCL_INCLUDE}/../lib" ENV NCCL_HOME
  PATH_SUFFIXES lib REQUIRED)
foreach(needed include/c10/cuda/CUDAStream.h lib/libtorch_cuda.so lib/libc10_cuda.so)
  if(NOT EXISTS "${RETAIN_TORCH}/${needed}")
    message(FATAL_ERROR "RETAIN_CUDA needs a torch built for CUDA; ${RETAIN_TORCH} has no ${needed}.")
  endif()
endforeach()

add_library(retain_cuda INTERFACE)
target_include_directories(retain_cuda SYSTEM INTERFACE ${CUDAToolkit_INCLUDE_DIRS} ${NCCL_INCLUDE})
# torch's kernels register themselves when libtorch_cuda is loaded, so it must stay although nothing names its symbols.
# What it needs in turn (cuBLAS, cuDNN, …) is resolved where the program runs, not where it is built.
target_link_libraries(retain_cuda INTERFACE "${RETAIN_TORCH}/lib/libc10_cuda.so"
  -Wl,--no-as-needed "${RETAIN_TORCH}/lib/libtorch_cuda.so" -Wl,--as-needed "${NCCL_LIBRARY}" CUDA::cudart)
target_link_options(retain_cuda INTERFACE -Wl,--unresolved-symbols=ignore-in-shared-libs)
get_filename_component(RETAIN_NCCL_FOLDER "${NCCL_LIBRARY}" DIRECTORY)
list(APPEND CMAKE_BUILD_RPATH "${RETAIN_NCCL_FOLDER}")
