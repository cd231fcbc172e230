# SPDX-License-Identifier: Apache-2.0
# RETAIN_SIMD_CLONES: an attribute that compiles a numeric kernel once per x86-64 level and picks one when the program
# starts. Empty where the compiler or the processor family lacks it, and under sanitizers (they cannot run resolvers).
include(CheckCXXSourceCompiles)
set(RETAIN_SIMD_ATTRIBUTE [[__attribute__((target_clones("arch=x86-64-v4","arch=x86-64-v3","default")))]])
check_cxx_source_compiles("
  ${RETAIN_SIMD_ATTRIBUTE} float sum(const float* x, int n) { float s = 0; for (int i = 0; i < n; ++i) s += x[i]; return s; }
  int main() { float x[4] = {0, 0, 0, 0}; return static_cast<int>(sum(x, 4)); }" RETAIN_HAVE_SIMD_CLONES)
if(RETAIN_HAVE_SIMD_CLONES AND NOT RETAIN_SANITIZE)
  target_compile_definitions(retain_settings INTERFACE "RETAIN_SIMD_CLONES=${RETAIN_SIMD_ATTRIBUTE}")
else()
  target_compile_definitions(retain_settings INTERFACE "RETAIN_SIMD_CLONES=")
endif()
