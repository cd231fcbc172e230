// SPDX-License-Identifier: Apache-2.0
#include "framework/report/svg.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace retain::framework {
namespace {

constexpr double kWidth = 640, kHeight = 360;
constexpr double kLeft = 64, kRight = 16, kTop = 36, kBottom = 84;

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
  if (!vertical && !chart.x_ticks.empty()) {
    Axis axis(0, 1);
    axis.low = -0.3;
    axis.high = static_cast<double>(chart.x_ticks.size()) - 0.7;
    return axis;
  }
  return Axis(least, most);
}

std::string text_at(double x, double y, const std::string& anchor, const std::string& style, const std::string& text) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor + "\" class=\"" + style + "\">" + escape_html(text) + "</text>\n";
}

std::string marker(std::size_t series, double x, double y, const std::string& title) {
  const std::string style = "class=\"s" + std::to_string(series % 6) + "\"";
  const std::string at = "transform=\"translate(" + number(x) + " " + number(y) + ")\"";
  const char* shapes[] = {"M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0z", "M-4.5,-4.5h9v9h-9z", "M0,-6l6,10h-12z",
                          "M0,-6l6,6l-6,6l-6,-6z", "M-6,-2h4v-4h4v4h4v4h-4v4h-4v-4h-4z", "M0,6l6,-10h-12z"};
  return "<path " + style + " " + at + " d=\"" + shapes[series % 6] + "\"><title>" + escape_html(title) + "</title></path>\n";
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
  const Axis xs = axis_of(chart, false), ys = axis_of(chart, true);
  const auto px = [&](double x) { return kLeft + (x - xs.low) / (xs.high - xs.low) * (kWidth - kLeft - kRight); };
  const auto py = [&](double y) { return kHeight - kBottom - (y - ys.low) / (ys.high - ys.low) * (kHeight - kTop - kBottom); };
  std::string svg = "<svg viewBox=\"0 0 640 360\" role=\"img\" aria-label=\"" + escape_html(chart.title) + "\">\n";
  svg += text_at(kWidth / 2, 18, "middle", "t", chart.title);
  for (double y = ys.low; y <= ys.high + ys.step / 2; y += ys.step) {
    const double shown = std::abs(y) < ys.step * 1e-6 ? 0 : y;
    svg += "<line class=\"" + std::string(shown == 0 ? "zero" : "grid") + "\" x1=\"64\" x2=\"624\" y1=\"" + number(py(y)) + "\" y2=\"" + number(py(y)) + "\"/>\n";
    svg += text_at(kLeft - 6, py(y) + 4, "end", "l", number(shown));
  }
  for (std::size_t i = 0; i < chart.x_ticks.size(); ++i)
    svg += text_at(px(static_cast<double>(i)), kHeight - kBottom + 16, "middle", "l", chart.x_ticks[i]);
  if (chart.x_ticks.empty())
    for (double x = xs.low; x <= xs.high + xs.step / 2; x += xs.step)
      svg += text_at(px(x), kHeight - kBottom + 16, "middle", "l", number(std::abs(x) < xs.step * 1e-6 ? 0 : x));
  svg += text_at((kLeft + kWidth) / 2, kHeight - kBottom + 34, "middle", "l", chart.x_label);
  svg += "<text class=\"l\" text-anchor=\"middle\" transform=\"translate(14 " + number((kTop + kHeight - kBottom) / 2) + ") rotate(-90)\">" +
         escape_html(chart.y_label) + "</text>\n";
  for (std::size_t s = 0; s < chart.series.size(); ++s) {
    const ChartSeries& series = chart.series[s];
    std::string path, marks;
    for (std::size_t i = 0; i < std::min(series.x.size(), series.y.size()); ++i) {
      if (std::isnan(series.x[i]) || std::isnan(series.y[i])) continue;
      path += (path.empty() ? "M" : "L") + number(px(series.x[i])) + "," + number(py(series.y[i]));
      const std::string place = chart.x_ticks.empty() ? number(series.x[i]) : chart.x_ticks[static_cast<std::size_t>(series.x[i])];
      marks += marker(s, px(series.x[i]), py(series.y[i]), series.name + ": " + place + ", " + number(series.y[i]));
    }
    if (chart.lines && !path.empty()) svg += "<path class=\"line d" + std::to_string(s % 6) + "\" d=\"" + path + "\"/>\n";
    svg += marks;
    const double legend = kLeft + static_cast<double>(s % 4) * 140;
    const double row = kHeight - 30 + static_cast<double>(s / 4) * 18;
    svg += marker(s, legend, row - 4, series.name) + text_at(legend + 10, row, "start", "l", series.name);
  }
  return svg + "</svg>\n";
}

}  // namespace retain::framework
