// SPDX-License-Identifier: Apache-2.0
// Messages to people, on standard error. Rank 0 speaks; other ranks only warn and fail, naming themselves.
#pragma once
#include <memory>
#include <string>

namespace spdlog {
class logger;
}

namespace retain::framework {

class Log {
 public:
  /// `rank` of `ranks`; `quiet` keeps warnings and errors only.
  Log(int rank, int ranks, bool quiet = false);
  /// As `whole`, for one of several groups of ranks that work side by side: `label` begins every message, and the rank for
  /// which `speaks` is true speaks for the group.
  Log(const Log& whole, const std::string& label, bool speaks);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void info(const std::string& message) const;   ///< rank 0 only
  void warn(const std::string& message) const;   ///< any rank
  void error(const std::string& message) const;  ///< any rank
  int rank() const noexcept { return rank_; }

 private:
  Log(int rank, bool quiet, bool speaks, const std::string& label, std::string prefix);

  int rank_;
  bool quiet_;
  std::string prefix_;  ///< of warnings and errors
  std::unique_ptr<spdlog::logger> logger_;
};

}  // namespace retain::framework
