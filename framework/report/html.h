// SPDX-License-Identifier: Apache-2.0
// The report of a study as one self-contained page: tables, SVG charts, no network.
#pragma once
#include <string>

#include "framework/report/study.h"

namespace retain::framework {

/// A whole HTML document. Every figure shown is also in an element with a data-value attribute, unrounded.
std::string to_html(const Study& study);

}  // namespace retain::framework
