// SPDX-License-Identifier: Apache-2.0
#include "framework/base/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace retain::framework {

Log::Log(int rank, int ranks, bool quiet)
    : rank_(rank),
      prefix_(ranks > 1 ? "rank " + std::to_string(rank) + ": " : ""),
      logger_(std::make_unique<spdlog::logger>("retain", std::make_shared<spdlog::sinks::stderr_sink_mt>())) {
  logger_->set_pattern("%H:%M:%S retain: %v");
  logger_->set_level(quiet || rank != 0 ? spdlog::level::warn : spdlog::level::info);
  logger_->flush_on(spdlog::level::info);
}

Log::~Log() = default;

void Log::info(const std::string& message) const { logger_->info("{}", message); }
void Log::warn(const std::string& message) const { logger_->warn("{}warning: {}", prefix_, message); }
void Log::error(const std::string& message) const { logger_->error("{}error: {}", prefix_, message); }

}  // namespace retain::framework
