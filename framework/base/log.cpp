// SPDX-License-Identifier: Apache-2.0
#include "framework/base/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <utility>

namespace retain::framework {

Log::Log(int rank, bool quiet, bool speaks, const std::string& label, std::string prefix)
    : rank_(rank),
      quiet_(quiet),
      prefix_(std::move(prefix)),
      logger_(std::make_unique<spdlog::logger>("retain", std::make_shared<spdlog::sinks::stderr_sink_mt>())) {
  logger_->set_pattern("%H:%M:%S retain: " + (label.empty() ? "" : label + ": ") + "%v");
  logger_->set_level(quiet || !speaks ? spdlog::level::warn : spdlog::level::info);
  logger_->flush_on(spdlog::level::info);
}

Log::Log(int rank, int ranks, bool quiet) : Log(rank, quiet, rank == 0, "", ranks > 1 ? "rank " + std::to_string(rank) + ": " : "") {}

Log::Log(const Log& whole, const std::string& label, bool speaks) : Log(whole.rank_, whole.quiet_, speaks, label, whole.prefix_) {}

Log::~Log() = default;

void Log::info(const std::string& message) const { logger_->info("{}", message); }
void Log::warn(const std::string& message) const { logger_->warn("{}warning: {}", prefix_, message); }
void Log::error(const std::string& message) const { logger_->error("{}error: {}", prefix_, message); }

}  // namespace retain::framework
