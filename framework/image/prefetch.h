// SPDX-License-Identifier: Apache-2.0
// Work done ahead by a few threads and handed out in order: pictures are decoded and processed while the model
// computes.
#pragma once
#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace retain::framework {

/// Calls work(0) … work(count − 1) on `threads` threads and returns the results in that order. At most `ahead` results
/// are under way or waiting. What a call throws is rethrown by the next() that would have returned its result; later
/// results stay available. The destructor waits for the calls that have begun and starts no others.
/// `work` must be safe to call from several threads at once; next() is for one thread.
template <typename Result>
class Prefetch {
 public:
  Prefetch(std::size_t count, std::size_t threads, std::size_t ahead, std::function<Result(std::size_t)> work)
      : count_(count), ahead_(ahead ? ahead : 1), work_(std::move(work)) {
    const std::size_t useful = std::min(std::min(threads ? threads : 1, ahead_), count_);
    for (std::size_t i = 0; i < useful; ++i) threads_.emplace_back([this] { labour(); });
  }
  ~Prefetch() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
  }
  Prefetch(const Prefetch&) = delete;
  Prefetch& operator=(const Prefetch&) = delete;

  /// True when next() has returned or thrown for every index.
  bool done() const { return taken_ == count_; }

  /// The result of the next index, waiting for it. Must not be called once done().
  Result next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !slots_.empty() && slots_.front().ready; });
    Slot slot = std::move(slots_.front());
    slots_.pop_front();
    ++taken_;
    lock.unlock();
    changed_.notify_all();
    if (slot.error) std::rethrow_exception(slot.error);
    return std::move(*slot.result);
  }

 private:
  struct Slot {
    bool ready = false;
    std::optional<Result> result;
    std::exception_ptr error;
  };

  void labour() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return stopped_ || begun_ == count_ || slots_.size() < ahead_; });
      if (stopped_ || begun_ == count_) return;
      const std::size_t index = begun_++;
      slots_.emplace_back();
      lock.unlock();
      Slot done;
      try {
        done.result = work_(index);
      } catch (...) {
        done.error = std::current_exception();
      }
      done.ready = true;
      lock.lock();
      // slots_ holds the indices from taken_ on; this one is not taken yet.
      slots_[index - taken_] = std::move(done);
      changed_.notify_all();
    }
  }

  const std::size_t count_;
  const std::size_t ahead_;
  const std::function<Result(std::size_t)> work_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Slot> slots_;
  std::size_t begun_ = 0;
  std::size_t taken_ = 0;
  bool stopped_ = false;
  std::vector<std::jthread> threads_;  // last: joined before the rest goes
};

}  // namespace retain::framework
