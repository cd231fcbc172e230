// SPDX-License-Identifier: Apache-2.0
// A table of a report, written to a page or to Markdown with the same figures.
#pragma once
#include <string>
#include <vector>

#include "framework/statistics/bootstrap.h"

namespace retain::framework {

struct TableCell {
  std::string text;
  double value;          ///< unrounded, by which a page sorts; NaN: the text is no figure
  double low, high;      ///< of its interval; NaN: none
  double shade = -1;     ///< 0 to 1, how dark the cell stands on a page; −1: not at all
};

TableCell text_cell(const std::string& text);
/// `format` is printf's, for one double; NaN shows as a dash.
TableCell number_cell(double value, const char* format);
/// "+1.2 [−0.3, +2.7]", each by `format`; the estimate alone without an interval.
TableCell interval_cell(const Interval& interval, const char* format);

struct Table {
  std::string id;        ///< letters, digits and dashes
  std::string title;
  std::vector<std::string> columns;
  std::vector<std::vector<TableCell>> rows;
  std::string note;
};

/// The caption and note, and a <table class="data" id=…> in which every figure carries data-value (unrounded) and, with an
/// interval, data-low and data-high; the page's script sorts and downloads it.
std::string to_html(const Table& table);
std::string to_markdown(const Table& table);

/// printf's `format` of a value; a dash for NaN, and never a negative zero.
std::string format_number(const char* format, double value);

}  // namespace retain::framework
