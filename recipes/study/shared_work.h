// SPDX-License-Identifier: Apache-2.0
// Which stage of a study each group of ranks teaches next. The groups agree through marks on the store's lock: whoever is free
// takes a stage whose parent is there, so nobody waits while there is work, and a group that dies leaves nothing behind.
#pragma once
#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "framework/store/store_lock.h"
#include "parallel/comm/communicator.h"
#include "recipes/settings/study_plan.h"

namespace retain::recipes {

/// All functions are collective over the group.
class SharedWork {
 public:
  /// `lock`: the group's right to write, on its rank 0; null elsewhere. `index` of `count` groups. `stop` set on any rank of any
  /// group asks all groups to stop. All but `stages` outlive this.
  SharedWork(std::vector<StudyStage> stages, const framework::StoreLock* lock, parallel::Communicator& group, int index, int count,
             const std::atomic<bool>& stop);

  const StudyStage& stage(std::size_t index) const { return stages_.at(index); }

  /// The next stage for this group, waiting for others where all that is left depends on theirs: one that follows what it taught
  /// last if it can, else one that most stages follow. Empty: nothing is left to begin, or somebody asked to stop.
  std::optional<std::size_t> next();
  /// The stage, taken with next(), is in the store: others may teach what follows it.
  void taught(std::size_t stage);
  /// Gives it back, until the group that is teaching the same (`key`, see may_do) says done(key).
  void defer(std::size_t stage, const std::string& key);

  /// Whether this group is the one to do what is called `key`: of two recipes that come to the same stage one teaches it.
  bool may_do(const std::string& key);
  void done(const std::string& key);
  bool is_done(const std::string& key);

  /// All that is to be known of the stage is in the store.
  void measured(std::size_t stage) { done(measured_name(stage)); }
  /// The stages of which some group has said so.
  std::vector<bool> all_measured();
  /// Asked on every rank before every step, not collective: whether this or another group was asked to stop.
  bool stop_requested() const;
  /// Waits until every group is here, without the watchdog: their stages take as long as they take.
  void wait_for_all();

 private:
  static std::string measured_name(std::size_t stage) { return "measure " + std::to_string(stage); }
  bool somebody_asks_to_stop();
  std::string pick();
  bool is_open(std::size_t stage);
  bool follows_last(std::size_t stage) const { return stages_[stage].parent && stages_[stage].parent == last_; }

  std::vector<StudyStage> stages_;
  std::optional<framework::RunMarks> marks_;  ///< on rank 0 of the group
  parallel::Communicator& group_;
  int index_;
  int count_;
  const std::atomic<bool>& stop_;
  std::vector<bool> taught_;                  ///< as far as rank 0 knows
  std::map<std::size_t, std::string> deferred_;
  std::optional<std::size_t> last_;
};

}  // namespace retain::recipes
