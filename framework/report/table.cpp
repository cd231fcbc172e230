// SPDX-License-Identifier: Apache-2.0
#include "framework/report/table.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>

#include "framework/report/svg.h"

namespace retain::framework {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

std::string attribute(const char* name, double value) {
  return std::isnan(value) ? std::string() : " " + std::string(name) + "=\"" + format_number("%.17g", value) + "\"";
}

std::string cell_html(const TableCell& cell) {
  const bool shaded = cell.shade >= 0;
  return "<td" + attribute("data-value", cell.value) + attribute("data-low", cell.low) + attribute("data-high", cell.high) +
         (shaded ? " class=\"heat\" style=\"--v:" + format_number("%.3f", cell.shade) + "\"" : "") + ">" + escape_html(cell.text) + "</td>";
}

std::string plain(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c == '\n' || c == '\r') safe += ' ';
    else if (c == '|') safe += "\\|";
    else safe += c;
  }
  return safe;
}

}  // namespace

std::string format_number(const char* format, double value) {
  if (std::isnan(value)) return "–";
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  char* end = nullptr;
  if (std::strtod(text, &end) == 0 && value < 0) std::snprintf(text, sizeof text, format, 0.0);  // no "-0.0"
  return text;
}

TableCell text_cell(const std::string& text) { return {text, kNothing, kNothing, kNothing}; }

TableCell number_cell(double value, const char* format) { return {format_number(format, value), value, kNothing, kNothing}; }

TableCell interval_cell(const Interval& interval, const char* format) {
  std::string text = format_number(format, interval.estimate);
  if (interval.known()) text += " [" + format_number(format, interval.low) + ", " + format_number(format, interval.high) + "]";
  return {text, interval.estimate, interval.low, interval.high};
}

std::string to_html(const Table& table) {
  std::string html = "<section><h2>" + escape_html(table.title) +
                     "</h2><div class=\"scroll\"><table class=\"data\" id=\"" + escape_html(table.id) +
                     "\"><thead><tr>";
  for (const std::string& column : table.columns) html += "<th scope=\"col\">" + escape_html(column) + "</th>";
  html += "</tr></thead><tbody>\n";
  for (const auto& row : table.rows) {
    html += "<tr>";
    for (const TableCell& cell : row) html += cell_html(cell);
    html += "</tr>\n";
  }
  return html + "</tbody></table></div><p class=\"note\">" + escape_html(table.note) + "</p></section>\n";
}

std::string to_markdown(const Table& table) {
  std::string text = "## " + table.title + "\n\n|", rule = "|";
  for (const std::string& column : table.columns) {
    text += " " + plain(column) + " |";
    rule += rule.size() == 1 ? "---|" : "---:|";
  }
  text += "\n" + rule + "\n";
  for (const auto& row : table.rows) {
    text += "|";
    for (const TableCell& cell : row) text += " " + plain(cell.text) + " |";
    text += "\n";
  }
  return text + (table.note.empty() ? "" : "\n" + table.note + "\n") + "\n";
}

}  // namespace retain::framework
