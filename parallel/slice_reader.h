// SPDX-License-Identifier: Apache-2.0
// One rank's slice of a parameter, read from a source of whole tensors.
#pragma once
#include <cstddef>
#include <span>

#include "framework/store/tensor_source.h"
#include "parallel/parameter.h"

namespace retain::parallel {

/// Fills `out` with tensor rank r's slice in the stored dtype, reading no other bytes. Throws what the source throws
/// and Error(internal) where `out` has another size.
void read_slice(const framework::TensorSource& source, const ParameterSpec& spec, int tensor_rank,
                std::span<std::byte> out);

}  // namespace retain::parallel
