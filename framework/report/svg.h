// SPDX-License-Identifier: Apache-2.0
// Small charts as SVG text: no script, no network, readable in dark mode (colours come from the page's CSS variables) and
// without colour (each series has its own marker and dash).
#pragma once
#include <string>
#include <vector>

namespace retain::framework {

struct ChartSeries {
  std::string name;
  std::vector<double> x;   ///< NaN points are left out
  std::vector<double> y;
};

struct Chart {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<std::string> x_ticks;  ///< labels at x = 0, 1, …; empty: numeric ticks
  bool lines = true;                 ///< join the points of a series
  std::vector<ChartSeries> series;
};

/// One <svg> element, 640 × 360 units, scaling with its container; every point carries a <title> with its figures.
std::string to_svg(const Chart& chart);

/// Text safe inside HTML elements and attributes.
std::string escape_html(const std::string& text);

}  // namespace retain::framework
