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
  std::vector<double> x_low = {}, x_high = {};  ///< ends of error bars, one a point; empty: none; NaN: none here
  std::vector<double> y_low = {}, y_high = {};
};

struct Chart {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<std::string> x_ticks;  ///< labels at x = 0, 1, …; empty: numeric ticks
  bool lines = true;                 ///< join the points of a series
  std::vector<ChartSeries> series;
  bool name_points = false;          ///< write the series' name beside its first point
};

/// A horizontal bar in two parts.
struct SplitBar {
  std::string name;
  double first;
  double second;
};

/// Bars of two parts each with their figures written out; the first part hatched, so that they differ without colour.
std::string split_bars(const std::string& title, const std::string& first_name, const std::string& second_name,
                       const std::vector<SplitBar>& bars);

/// One <svg> element, 640 units wide and 360 or more high (a long legend), scaling with its container; every point
/// carries a <title> with its figures.
std::string to_svg(const Chart& chart);

/// Text safe inside HTML elements and attributes.
std::string escape_html(const std::string& text);

}  // namespace retain::framework
