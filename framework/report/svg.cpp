// SPDX-License-Identifier: Apache-2.0
#include "framework/report/svg.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace retain::framework {
namespace {

constexpr double kWidth = 640, kHeight = 360;
constexpr double kLeft = 64, kRight = 16, kTop = 36, kBottom = 84;
constexpr std::size_t kLegendColumns = 3;

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

/// A data range widened to round numbers, and the distance of its ticks (1, 2 or 5 times a power of ten).
struct Axis {
  double low = 0, high = 1, step = 0.2;

  Axis(double least, double most) {
    if (!(least <= most)) return;
    if (most - least < 1e-12) {
      const double pad = std::max(1e-3, std::abs(most) * 0.1);
      least -= pad;
      most += pad;
    }
    const double rough = (most - least) / 5;
    const double power = std::pow(10.0, std::floor(std::log10(rough)));
    for (const double factor : {1.0, 2.0, 5.0, 10.0}) {
      step = factor * power;
      if (step >= rough) break;
    }
    low = std::floor(least / step) * step;
    high = std::ceil(most / step) * step;
  }
};

Axis axis_of(const Chart& chart, bool vertical) {
  double least = INFINITY, most = -INFINITY;
  for (const ChartSeries& series : chart.series)
    for (const double value : vertical ? series.y : series.x)
      if (!std::isnan(value)) {
        least = std::min(least, value);
        most = std::max(most, value);
      }
  for (const ChartSeries& series : chart.series)
    for (const std::vector<double>* ends : vertical ? std::array{&series.y_low, &series.y_high} : std::array{&series.x_low, &series.x_high})
      for (const double value : *ends) {
        least = std::fmin(least, value);
        most = std::fmax(most, value);
      }
  if (!vertical && !chart.x_ticks.empty()) {
    Axis axis(0, 1);
    axis.low = -0.3;
    axis.high = static_cast<double>(chart.x_ticks.size()) - 0.7;
    return axis;
  }
  return Axis(least, most);
}

std::string text_at(double x, double y, const std::string& anchor, const std::string& style, const std::string& text) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor + "\" class=\"" + style +
         "\">" + escape_html(text) + "</text>\n";
}

std::string marker(std::size_t series, double x, double y, const std::string& title) {
  const std::string style = "class=\"s" + std::to_string(series % 6) + "\"";
  const std::string at = "transform=\"translate(" + number(x) + " " + number(y) + ")\"";
  const char* shapes[] = {"M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0z", "M-4.5,-4.5h9v9h-9z", "M0,-6l6,10h-12z",
                          "M0,-6l6,6l-6,6l-6,-6z", "M-6,-2h4v-4h4v4h4v4h-4v4h-4v-4h-4z", "M0,6l6,-10h-12z"};
  return "<path " + style + " " + at + " d=\"" + shapes[series % 6] + "\"><title>" + escape_html(title) + "</title></path>\n";
}

/// Where data lands in the picture.
struct Frame {
  Axis xs, ys;
  double x(double value) const { return kLeft + (value - xs.low) / (xs.high - xs.low) * (kWidth - kLeft - kRight); }
  double y(double value) const { return kHeight - kBottom - (value - ys.low) / (ys.high - ys.low) * (kHeight - kTop - kBottom); }
};

std::string line(const std::string& style, double x1, double y1, double x2, double y2) {
  return "<line class=\"" + style + "\" x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) +
         "\" y2=\"" + number(y2) + "\"/>\n";
}

std::string axes(const Chart& chart, const Frame& frame) {
  std::string svg;
  for (double y = frame.ys.low; y <= frame.ys.high + frame.ys.step / 2; y += frame.ys.step) {
    const double shown = std::abs(y) < frame.ys.step * 1e-6 ? 0 : y;
    svg += line(shown == 0 ? "zero" : "grid", kLeft, frame.y(y), kWidth - kRight, frame.y(y));
    svg += text_at(kLeft - 6, frame.y(y) + 4, "end", "l", number(shown));
  }
  const double below = kHeight - kBottom + 16;
  for (std::size_t i = 0; i < chart.x_ticks.size(); ++i)
    svg += text_at(frame.x(static_cast<double>(i)), below, "middle", "l", chart.x_ticks[i]);
  if (chart.x_ticks.empty())
    for (double x = frame.xs.low; x <= frame.xs.high + frame.xs.step / 2; x += frame.xs.step)
      svg += text_at(frame.x(x), below, "middle", "l", number(std::abs(x) < frame.xs.step * 1e-6 ? 0 : x));
  svg += text_at((kLeft + kWidth) / 2, below + 18, "middle", "l", chart.x_label);
  return svg + "<text class=\"l\" text-anchor=\"middle\" transform=\"translate(14 " +
         number((kTop + kHeight - kBottom) / 2) + ") rotate(-90)\">" + escape_html(chart.y_label) + "</text>\n";
}

bool has_bar(const std::vector<double>& low, const std::vector<double>& high, std::size_t i) {
  return i < low.size() && i < high.size() && low[i] <= high[i];
}

std::string error_bars(const ChartSeries& series, const Frame& frame, std::size_t i, const std::string& style) {
  std::string svg;
  const double x = frame.x(series.x[i]), y = frame.y(series.y[i]);
  if (has_bar(series.x_low, series.x_high, i)) {
    const double from = frame.x(series.x_low[i]), to = frame.x(series.x_high[i]);
    svg += line(style, from, y, to, y) + line(style, from, y - 4, from, y + 4) + line(style, to, y - 4, to, y + 4);
  }
  if (has_bar(series.y_low, series.y_high, i)) {
    const double from = frame.y(series.y_low[i]), to = frame.y(series.y_high[i]);
    svg += line(style, x, from, x, to) + line(style, x - 4, from, x + 4, from) + line(style, x - 4, to, x + 4, to);
  }
  return svg;
}

/// Marks and colours repeat after six series; dashes shift by one then, so that no two of 36 look the same.
std::string draw(const Chart& chart, const Frame& frame, std::size_t s) {
  const ChartSeries& series = chart.series[s];
  const std::string stroke = "d" + std::to_string((s + s / 6) % 6);
  std::string path, marks;
  for (std::size_t i = 0; i < std::min(series.x.size(), series.y.size()); ++i) {
    if (std::isnan(series.x[i]) || std::isnan(series.y[i])) continue;
    const double x = frame.x(series.x[i]), y = frame.y(series.y[i]);
    if (chart.name_points && path.empty()) marks += text_at(x + 8, y - 6, x > kWidth - 120 ? "end" : "start", "l", series.name);
    path += (path.empty() ? "M" : "L") + number(x) + "," + number(y);
    const auto tick = static_cast<std::size_t>(std::max(0.0, series.x[i]));
    const std::string place = tick < chart.x_ticks.size() ? chart.x_ticks[tick] : number(series.x[i]);
    marks += error_bars(series, frame, i, "bar b" + std::to_string(s % 6)) +
             marker(s, x, y, series.name + ": " + place + ", " + number(series.y[i]));
  }
  return (chart.lines && !path.empty() ? "<path class=\"line " + stroke + "\" d=\"" + path + "\"/>\n" : std::string()) + marks;
}

std::string legend(const Chart& chart) {
  std::string svg;
  for (std::size_t s = 0; s < chart.series.size(); ++s) {
    const double x = kLeft + static_cast<double>(s % kLegendColumns) * 190, y = kHeight - 30 + static_cast<double>(s / kLegendColumns) * 18;
    if (chart.lines) svg += line("line d" + std::to_string((s + s / 6) % 6), x - 22, y - 4, x + 22, y - 4);
    svg += marker(s, x, y - 4, chart.series[s].name) + text_at(x + (chart.lines ? 28 : 10), y, "start", "l", chart.series[s].name);
  }
  return svg;
}

std::string begin(const std::string& title, double height) {
  return "<svg viewBox=\"0 0 640 " + number(height) + "\" role=\"img\" aria-label=\"" + escape_html(title) + "\">\n" +
         text_at(kWidth / 2, 18, "middle", "t", title);
}

}  // namespace

std::string escape_html(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c == '&') safe += "&amp;";
    else if (c == '<') safe += "&lt;";
    else if (c == '>') safe += "&gt;";
    else if (c == '"') safe += "&quot;";
    else safe += c;
  }
  return safe;
}

std::string to_svg(const Chart& chart) {
  const Frame frame{axis_of(chart, false), axis_of(chart, true)};
  const std::size_t rows = (chart.series.size() + kLegendColumns - 1) / kLegendColumns;
  std::string svg = begin(chart.title, std::max(kHeight, kHeight - 18 + 18 * static_cast<double>(rows))) + axes(chart, frame);
  for (std::size_t s = 0; s < chart.series.size(); ++s) svg += draw(chart, frame, s);
  return svg + legend(chart) + "</svg>\n";
}

std::string split_bars(const std::string& title, const std::string& first_name, const std::string& second_name,
                       const std::vector<SplitBar>& bars) {
  double longest = 0;
  for (const SplitBar& bar : bars) longest = std::fmax(longest, bar.first + bar.second);
  const double room = 300, scale = longest > 0 ? room / longest : 0;
  std::string svg = begin(title, 70 + 26 * static_cast<double>(bars.size()));
  svg += "<defs><pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">"
         "<rect width=\"6\" height=\"6\" class=\"s2\"/><line class=\"stripe\" x1=\"0\" x2=\"0\" y1=\"0\" y2=\"6\"/></pattern></defs>\n";
  const auto bar = [](double x, double y, double width, const std::string& style) {
    return "<rect x=\"" + number(x) + "\" y=\"" + number(y) + "\" width=\"" + number(width) + "\" height=\"14\" " + style + "/>\n";
  };
  const std::string hatched = "fill=\"url(#hatch)\"", plain = "class=\"s1\"";
  svg += bar(190, 32, 14, hatched) + text_at(210, 44, "start", "l", first_name) + bar(400, 32, 14, plain) +
         text_at(420, 44, "start", "l", second_name);
  double y = 62;
  for (const SplitBar& item : bars) {
    svg += text_at(182, y + 12, "end", "l", item.name) + bar(190, y, item.first * scale, hatched) +
           bar(190 + item.first * scale, y, item.second * scale, plain);
    svg += text_at(198 + (item.first + item.second) * scale, y + 12, "start", "l", number(item.first) + " + " + number(item.second));
    y += 26;
  }
  return svg + "</svg>\n";
}

}  // namespace retain::framework
