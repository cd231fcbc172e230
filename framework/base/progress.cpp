// SPDX-License-Identifier: Apache-2.0
#include "framework/base/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace retain::framework {
namespace {

constexpr int kBarWidth = 24;
constexpr auto kTerminalInterval = std::chrono::milliseconds(100);
constexpr auto kPlainInterval = std::chrono::seconds(10);

}  // namespace

std::string clock_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::max(0.0, seconds) + 0.5);
  char text[32];
  if (whole >= 3600)
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", static_cast<long long>(whole / 3600),
                  static_cast<long long>(whole / 60 % 60), static_cast<long long>(whole % 60));
  else
    std::snprintf(text, sizeof text, "%lld:%02lld", static_cast<long long>(whole / 60), static_cast<long long>(whole % 60));
  return text;
}

Progress::Progress(std::string title, std::int64_t total, bool visible)
    : title_(std::move(title)),
      total_(total),
      visible_(visible),
      terminal_(isatty(STDERR_FILENO) == 1),
      start_(Clock::now()),
      last_(start_) {}

Progress::~Progress() { finish(); }

void Progress::update(std::int64_t done, const std::string& note) {
  if (!visible_ || finished_) return;
  const auto now = Clock::now();
  if (first_done_ < 0) first_done_ = std::max<std::int64_t>(0, done - 1);
  done_ = done;
  const bool due = now - last_ >= (terminal_ ? Clock::duration(kTerminalInterval) : Clock::duration(kPlainInterval));
  if (!due && done < total_ && drawn_) return;
  last_ = now;
  draw(now, note);
}

void Progress::draw(Clock::time_point now, const std::string& note) {
  const double spent = std::chrono::duration<double>(now - start_).count();
  const auto here = std::max<std::int64_t>(1, done_ - first_done_);
  const double left = spent / static_cast<double>(here) * static_cast<double>(total_ - done_);
  const int filled = total_ > 0 ? static_cast<int>(kBarWidth * done_ / total_) : kBarWidth;
  const std::string bar = std::string(static_cast<std::size_t>(filled), '#') +
                          std::string(static_cast<std::size_t>(kBarWidth - filled), '.');
  std::fprintf(stderr, "%s%s [%s] %lld/%lld  %s  %s left%s", terminal_ ? "\r\033[K" : "", title_.c_str(), bar.c_str(),
               static_cast<long long>(done_), static_cast<long long>(total_), note.c_str(), clock_text(left).c_str(),
               terminal_ ? "" : "\n");
  std::fflush(stderr);
  drawn_ = true;
}

void Progress::finish() {
  if (finished_) return;
  finished_ = true;
  if (visible_ && drawn_ && terminal_) std::fputc('\n', stderr);
}

}  // namespace retain::framework
