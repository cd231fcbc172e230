// SPDX-License-Identifier: Apache-2.0
// A progress line on standard error: redrawn in place on a terminal, printed now and then elsewhere.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

namespace retain::framework {

class Progress {
 public:
  /// `total` steps of `title`; silent when `visible` is false (ranks other than 0).
  Progress(std::string title, std::int64_t total, bool visible);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` steps are finished; `note` is shown behind the bar (loss, tokens per second).
  void update(std::int64_t done, const std::string& note);
  /// Ends the line; further updates are ignored. Called by the destructor.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  void draw(Clock::time_point now, const std::string& note);

  std::string title_;
  std::int64_t total_;
  std::int64_t done_ = 0;
  std::int64_t first_done_ = -1;  ///< where this process began (a resumed run does not start at 0)
  bool visible_;
  bool terminal_;
  bool drawn_ = false;
  bool finished_ = false;
  Clock::time_point start_;
  Clock::time_point last_;
};

/// "1:02:03" or "4:05" for a whole number of seconds.
std::string clock_text(double seconds);

}  // namespace retain::framework
