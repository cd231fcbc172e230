// SPDX-License-Identifier: Apache-2.0
// The report of one or several studies as one self-contained page: tables, SVG charts, no network.
#pragma once
#include <string>

#include "framework/report/analysis.h"

namespace retain::framework {

/// A whole HTML document. Every figure of a table carries data-value, unrounded; the page is readable without its script.
std::string to_html(const Report& report);

}  // namespace retain::framework
