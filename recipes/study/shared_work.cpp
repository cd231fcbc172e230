// SPDX-License-Identifier: Apache-2.0
#include "recipes/study/shared_work.h"

#include <chrono>
#include <thread>
#include <utility>

#include "parallel/agreement.h"

namespace retain::recipes {
namespace {

constexpr std::chrono::milliseconds kRest{100};
constexpr const char* kStop = "stop";

std::string begun_mark(std::size_t stage) { return "begun " + std::to_string(stage); }
std::string taught_mark(std::size_t stage) { return "taught " + std::to_string(stage); }
std::string does_mark(const std::string& key) { return "does " + key; }
std::string done_mark(const std::string& key) { return "done " + key; }
std::string arrived_mark(int group) { return "arrived " + std::to_string(group); }

}  // namespace

SharedWork::SharedWork(std::vector<StudyStage> stages, const framework::StoreLock* lock, parallel::Communicator& group,
                       int index, int count, const std::atomic<bool>& stop)
    : stages_(std::move(stages)),
      group_(group),
      index_(index),
      count_(count),
      stop_(stop),
      taught_(stages_.size(), false) {
  if (lock) marks_.emplace(*lock);
}

bool SharedWork::stop_requested() const { return stop_.load() || (marks_ && marks_->is_taken(kStop)); }

bool SharedWork::somebody_asks_to_stop() {
  if (!parallel::anyone(group_, stop_requested())) return false;
  if (marks_) marks_->take(kStop);
  return true;
}

std::optional<std::size_t> SharedWork::next() {
  for (;;) {
    if (somebody_asks_to_stop()) return std::nullopt;
    const std::string picked = parallel::from_first(group_, [this] { return pick(); });
    if (picked == "none") return std::nullopt;
    if (picked != "wait") return std::stoull(picked);
    std::this_thread::sleep_for(kRest);
  }
}

/// Rank 0. Its number, "wait", or "none" where every stage is begun or taught.
std::string SharedWork::pick() {
  std::optional<std::size_t> best;
  bool waiting = false;
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    if (!taught_[i]) taught_[i] = marks_->is_taken(taught_mark(i));
    if (taught_[i] || marks_->is_taken(begun_mark(i))) continue;
    if (!is_open(i)) {
      waiting = true;
      continue;
    }
    const auto better = [&](std::size_t a, std::size_t b) {
      return follows_last(a) != follows_last(b) ? follows_last(a) : stages_[a].weight > stages_[b].weight;
    };
    if (!best || better(i, *best)) best = i;
  }
  if (!best) return waiting ? "wait" : "none";
  return marks_->take(begun_mark(*best)) ? std::to_string(*best) : pick();
}

/// Whether its parent is there, and no other group is teaching the same.
bool SharedWork::is_open(std::size_t stage) {
  if (const auto parent = stages_[stage].parent; parent && !taught_[*parent]) return false;
  const auto deferred = deferred_.find(stage);
  return deferred == deferred_.end() || marks_->is_taken(done_mark(deferred->second));
}

void SharedWork::taught(std::size_t stage) {
  last_ = stage;
  parallel::from_first(group_, [&] {
    marks_->take(taught_mark(stage));
    return std::string();
  });
}

void SharedWork::defer(std::size_t stage, const std::string& key) {
  parallel::from_first(group_, [&] {
    deferred_[stage] = key;
    marks_->give_back(begun_mark(stage));
    return std::string();
  });
}

bool SharedWork::may_do(const std::string& key) {
  return parallel::from_first(group_, [&] { return std::string(marks_->take(does_mark(key)) ? "yes" : "no"); }) == "yes";
}

void SharedWork::done(const std::string& key) {
  parallel::from_first(group_, [&] {
    marks_->take(done_mark(key));
    return std::string();
  });
}

bool SharedWork::is_done(const std::string& key) {
  return parallel::from_first(group_, [&] { return std::string(marks_->is_taken(done_mark(key)) ? "yes" : "no"); }) == "yes";
}

std::vector<bool> SharedWork::all_measured() {
  const std::string flags = parallel::from_first(group_, [&] {
    std::string text;
    for (std::size_t i = 0; i < stages_.size(); ++i) text += marks_->is_taken(done_mark(measured_name(i))) ? '1' : '0';
    return text;
  });
  std::vector<bool> measured;
  for (const char flag : flags) measured.push_back(flag == '1');
  return measured;
}

void SharedWork::wait_for_all() {
  for (;;) {
    const std::string here = parallel::from_first(group_, [&] {
      marks_->take(arrived_mark(index_));
      for (int group = 0; group < count_; ++group)
        if (!marks_->is_taken(arrived_mark(group))) return std::string("no");
      return std::string("all");
    });
    if (here == "all") return;
    std::this_thread::sleep_for(kRest);
  }
}

}  // namespace retain::recipes
