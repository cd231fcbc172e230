// SPDX-License-Identifier: Apache-2.0
// Element types of torch and of the framework, one for the other.
#pragma once
#include <c10/core/ScalarType.h>

#include "framework/base/dtype.h"

namespace retain::parallel {

at::ScalarType scalar_type(framework::DType dtype);
/// Throws Error(internal) for a type that has no name in framework::DType.
framework::DType dtype_of(at::ScalarType type);

}  // namespace retain::parallel
