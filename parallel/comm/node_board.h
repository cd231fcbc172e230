// SPDX-License-Identifier: Apache-2.0
// A table in shared memory where every rank of a node writes what it is doing, so that a rank that waits too long can
// say whom it waits for and what that one was doing last. Also decides which rank's failure is printed.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "parallel/comm/descriptor.h"
#include "parallel/comm/failure_notice.h"
#include "parallel/comm/shared_segment.h"

namespace retain::parallel {

class NodeBoard {
 public:
  /// Collective over all ranks of the job; MPI must be initialised.
  static std::shared_ptr<NodeBoard> create();
  /// `notice`: to and from the ranks of other nodes; null when there is no other.
  NodeBoard(std::unique_ptr<SharedSegment> segment, std::unique_ptr<FailureNotice> notice, int entries, int own,
            int world_rank);

  int ranks_on_node() const noexcept { return entries_; }
  /// Whether world rank 0 is on this node.
  bool has_first_rank() const;

  /// This rank has started an operation of a group; it waits in one; it left it; it is busy with something.
  void start(const Descriptor& descriptor, std::string_view group);
  void enter(const Descriptor& descriptor, std::string_view group);
  void leave();
  void describe(std::string_view activity);
  /// This rank, which waits, waits for that one (world rank): so a third can follow the chain to the rank at its end.
  void await(int world_rank);

  /// What this rank said last that it is busy with.
  std::string activity() const;
  /// "computing since 3.2 s, after barrier #4 of group 'world'; activity: step 12", or that the rank is on another
  /// host.
  std::string status_of(int world_rank) const;
  /// World rank for which that rank waits, as it said last, or -1: it waits for none, or nothing is known of it.
  int awaited_by(int world_rank) const;
  /// Whether status_of() knows more of that rank than that it is elsewhere.
  bool knows(int world_rank) const;

  /// True for the first rank of this node that calls it, unless another node told of a failure before: that one reports
  /// the failure.
  bool claim_failure();
  /// Whether a rank of another node has told that it failed; and telling the ranks of all other nodes.
  bool failed_elsewhere() const;
  void tell_other_nodes();
  /// World rank whose failure this node knows of, or -1.
  int failed_rank() const;
  /// World rank of a peer on this node whose process has ended while this board was there, or -1. May be called in signal handlers.
  int gone_rank() const noexcept;

 private:
  struct Header;
  struct Entry;
  Header& header() const;
  Entry& entry(int index) const;
  const Entry* entry_of(int world_rank) const;
  template <class Change>
  void write(Change change);
  bool sees_all_processes() const noexcept;
  void record(bool waiting, const Descriptor& descriptor, std::string_view group);

  std::unique_ptr<FailureNotice> notice_;
  std::unique_ptr<SharedSegment> segment_;  // null when this node offers no shared memory: nothing is known of peers
  int entries_;
  int own_;
  int world_rank_;
  bool watches_processes_ = false;  ///< not where ranks are in containers that hide their processes from each other
};

}  // namespace retain::parallel
