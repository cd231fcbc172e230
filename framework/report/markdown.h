// SPDX-License-Identifier: Apache-2.0
// The summary of a report in Markdown: what it says of the paper's findings, and its tables.
#pragma once
#include <string>

#include "framework/report/analysis.h"

namespace retain::framework {

std::string to_markdown(const Report& report);

}  // namespace retain::framework
