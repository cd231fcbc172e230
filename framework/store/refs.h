// SPDX-License-Identifier: Apache-2.0
// Branches and tags: small files that name a stage, and the log of their moves, so that every move can be undone.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "framework/store/store_lock.h"

namespace retain::framework {

enum class RefKind { branch, tag };

struct Ref {
  RefKind kind = RefKind::branch;
  std::string name;
  std::string stage;  ///< its id
};

/// All refs, branches first, by name. A damaged one is left out and its message, which names the file, the last value the log
/// knows and what to do, added to `damaged`; without `damaged` it is thrown as Error(store_invalid).
std::vector<Ref> refs_of(const Store& store, std::vector<std::string>* damaged = nullptr);
/// A branch or else a tag of that name.
std::optional<Ref> find_ref(const Store& store, const std::string& name);

/// One line of the log. An entry may describe a move that a stop prevented; the next entry's `from` tells.
struct RefMove {
  std::string time;
  RefKind kind = RefKind::branch;
  std::string name;
  std::string from;  ///< empty: the ref was created
  std::string to;    ///< empty: the ref was removed
  std::string why;
};

/// All moves, oldest first. A torn last line is left out; damaged lines are counted in `damaged` when given.
std::vector<RefMove> ref_moves(const Store& store, std::size_t* damaged = nullptr);

/// Points a ref at a stage (creating it), durably: the log first, then the ref. A tag that exists cannot be moved
/// (Error(usage)), a damaged branch can. Throws Error(store_unknown_stage) when the stage is not in the store, Error(usage) for a bad name.
void move_ref(const Store& store, const StoreLock& lock, RefKind kind, const std::string& name,
              const std::string& stage, const std::string& why);
/// Removes a ref, also a damaged one; the stages stay until gc.
void remove_ref(const Store& store, const StoreLock& lock, RefKind kind, const std::string& name,
                const std::string& why);

}  // namespace retain::framework
