// SPDX-License-Identifier: Apache-2.0
// Which option a free-form answer names.
#pragma once
#include <string>
#include <vector>

namespace retain::framework {

/// The letter among `letters` ("ABCD") by mcq's rules; the last one looks for the options' texts (A first). Empty when none
/// of the rules hits.
std::string named_letter(const std::string& prediction, const std::string& letters, const std::vector<std::string>& options);

}  // namespace retain::framework
