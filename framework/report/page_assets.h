// SPDX-License-Identifier: Apache-2.0
// The page's style and script as text, to be put inside it: nothing is fetched.
#pragma once

namespace retain::framework {

/// CSS: light and dark, wide and narrow, print.
extern const char* const kPageStyle;
/// JavaScript: sorts a table.data by a click on its heading, and downloads it as CSV or LaTeX. The page is whole without it.
extern const char* const kPageScript;

}  // namespace retain::framework
