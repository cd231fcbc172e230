// SPDX-License-Identifier: Apache-2.0
// Waiting: first spin, then let others run, then sleep in short steps.
#include "parallel/comm/progress.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "framework/base/error.h"

namespace retain::parallel {
namespace {

using Clock = std::chrono::steady_clock;
using framework::Error;
using framework::ErrorKind;

constexpr Clock::duration time_for_those_who_know = std::chrono::seconds(3);
constexpr int spins = 4000;  // about 100 microseconds, when every rank has a processor
constexpr int yields = 200;
constexpr auto shortest_sleep = std::chrono::microseconds(50);
constexpr auto longest_sleep =
    std::chrono::microseconds(1000);  // a crowd that wakes often would slow those that compute
constexpr int polls_per_rest = 8;     // an MPI library looks at its sockets in one of several polls only
constexpr int polls_between_clocks = 64;
constexpr auto time_between_looks = std::chrono::milliseconds(100);  // at the processes of peers

inline void pause_processor() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// How one wait passes the time between polls.
class Backoff {
 public:
  explicit Backoff(bool crowded) : spins_left_(crowded ? 0 : spins) {}

  void rest() {
    ++polls_;
    if (spins_left_ > 0 || polls_ % polls_per_rest != 0) {
      spins_left_ = std::max(0, spins_left_ - 1);
      pause_processor();
    } else if (yields_left_ > 0) {
      --yields_left_;
      sched_yield();
    } else {
      std::this_thread::sleep_for(sleep_);
      sleep_ = std::min(longest_sleep, sleep_ + sleep_ / 16);
    }
  }
  bool look_at_clock() const { return polls_ % polls_between_clocks == 0; }

 private:
  int spins_left_;
  int yields_left_ = yields;
  std::chrono::microseconds sleep_ = shortest_sleep;
  int polls_ = 0;
};

std::string seconds_text(std::chrono::milliseconds time) {
  const auto ms = time.count();
  return ms % 1000 == 0 ? std::to_string(ms / 1000) + " s" : std::to_string(ms) + " ms";
}

}  // namespace

Progress::Progress(WatchdogSettings settings, std::shared_ptr<NodeBoard> board)
    : settings_(settings),
      board_(std::move(board)),
      crowded_(board_->ranks_on_node() > static_cast<int>(std::thread::hardware_concurrency())) {}

void Progress::start(std::shared_ptr<Operation> operation, const Group& group) {
  board_->start(operation->descriptor(), group.name);
  operation->advance();
  if (!operation->finished()) pending_.push_back(std::move(operation));
}

bool Progress::advance_all() {
  bool moved = false;
  for (auto at = pending_.begin(); at != pending_.end();) {
    // An operation that throws is dropped first: its error is reported once.
    const std::shared_ptr<Operation> operation = *at;
    try {
      moved = operation->advance() || moved;
    } catch (...) {
      pending_.erase(at);
      throw;
    }
    at = operation->finished() ? pending_.erase(at) : std::next(at);
  }
  return moved;
}

void Progress::wait(Operation& operation, const Group& group) {
  if (operation.finished()) return;
  board_->enter(operation.descriptor(), group.name);
  Backoff backoff(crowded_);
  Clock::time_point last_progress = Clock::now(), last_look = last_progress;
  while (!operation.finished()) {
    if (advance_all()) {
      if (operation.finished()) break;
      backoff = Backoff(crowded_);
      last_progress = Clock::now();
      continue;
    }
    backoff.rest();
    if (!backoff.look_at_clock()) continue;
    check_peers();
    const Clock::time_point now = Clock::now();
    if (now - last_look > time_between_looks) {
      last_look = now;
      check_processes(operation, group);
      tell_whom(operation, group);
    }
    if (now - last_progress > settings_.timeout) give_up(operation, group);
  }
  board_->leave();
}

void Progress::check_peers() const {
  const int failed = board_->failed_rank();
  if (failed < 0) return;
  throw Error(ErrorKind::communication, "rank " + std::to_string(failed) + " has failed; this rank stops with it");
}

/// A launcher ends the others within a second of a rank's death: time to say which it was, and what it did.
void Progress::check_processes(const Operation& operation, const Group& group) const {
  const int gone = board_->gone_rank();
  if (gone < 0) return;
  check_peers();  // one that told of its failure has said more
  const std::string activity = board_->activity();
  throw Error(ErrorKind::communication,
              {"the process of rank " + std::to_string(gone) + " has ended, seen in " + to_string(operation.descriptor()) + " of " +
                   to_string(group) + (activity.empty() ? "" : " (" + activity + ")"),
               "every rank to live until the run ends", "when it ended it was " + board_->status_of(gone),
               "see the launcher's message for its signal or status; the kernel's log tells of processes killed for memory"});
}

void Progress::tell_whom(Operation& operation, const Group& group) {
  const std::vector<int> missing = operation.missing();
  if (!missing.empty()) board_->await(group.world_ranks.at(static_cast<std::size_t>(missing.front())));
}

/// World ranks for which an operation waits, then those for which these wait, and so on: at fault is the end of such a chain.
std::vector<int> Progress::awaited(Operation& operation, const Group& group) const {
  std::vector<int> chain;
  for (const int member : operation.missing()) chain.push_back(group.world_ranks.at(static_cast<std::size_t>(member)));
  const int own = group.world_ranks.at(static_cast<std::size_t>(group.rank));
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const int next = board_->awaited_by(chain[i]);
    if (next >= 0 && next != own && std::find(chain.begin(), chain.end(), next) == chain.end()) chain.push_back(next);
  }
  return chain;
}

void Progress::give_up(Operation& operation, const Group& group) const {
  const std::vector<int> chain = awaited(operation, group);
  std::string absent;
  for (const int rank : chain) absent += "\n    rank " + std::to_string(rank) + " did not arrive: " + board_->status_of(rank);
  const auto known_to_idle = [&](int rank) { return board_->knows(rank) && board_->awaited_by(rank) < 0; };
  const bool known = std::any_of(chain.begin(), chain.end(), known_to_idle) ||
                     std::all_of(chain.begin(), chain.end(), [&](int rank) { return board_->knows(rank); });
  // Ranks of a missing one's own node can say what it was doing: they speak first.
  const auto turn = Clock::now() + (known ? Clock::duration::zero() : time_for_those_who_know);
  while (Clock::now() < turn) {
    check_peers();
    std::this_thread::sleep_for(longest_sleep);
  }
  const std::string activity = board_->activity();
  throw Error(
      ErrorKind::communication,
      {to_string(operation.descriptor()) + " in " + to_string(group) + " made no progress for " +
           seconds_text(settings_.timeout) + (activity.empty() ? "" : " (" + activity + ")"),
       "every rank of the group to call it within that time",
       absent.empty() ? "all ranks arrived, but their data did not" : absent,
       "see what the ranks named were doing; if they are only slow, raise parallel.watchdog_seconds or --watchdog"});
}

}  // namespace retain::parallel
