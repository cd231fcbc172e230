// SPDX-License-Identifier: Apache-2.0
// Putting a stage or a mid-stage checkpoint into the store: entirely or not at all.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "framework/store/stage_writer.h"
#include "framework/store/store_lock.h"

namespace retain::framework {

/// What a commit writes. Everything of the first parent that is neither written nor removed becomes a link.
struct StageDraft {
  std::vector<std::string> parents;  ///< stage ids, the one trained from first; empty for a base model
  json::object inputs;               ///< enters the id: recipe, data digests, seeds … never a time or a path
  json::object info;                 ///< does not: loss curve, mesh, versions, seconds
  std::vector<ArraySpec> arrays;     ///< written: changed ones keep the parent's place in the order, new ones follow
  std::vector<std::string> removed;  ///< paths of the first parent's arrays that this stage lacks
  /// Block digests of `arrays` by path, where known beforehand. What a stage of the store holds already (HeldArrays)
  /// is not written but becomes a link to it.
  std::map<std::string, std::vector<Digest>> known;
};

/// One stage under way: construct, let ExtentWriters write layout(), publish. Destroyed without publish(), it leaves
/// nothing.
class StageCommit {
 public:
  /// Throws Error(store_unknown_stage) for a missing parent, Error(io) when space or permission lacks, Error(internal)
  /// for a path that cannot be. `lock` outlives this.
  StageCommit(const Store& store, const StoreLock& lock, StageDraft draft);

  const StageLayout& layout() const { return writer_.layout(); }
  /// The id that publish() will give, for those who go on while blocks are still on their way.
  std::string id(const std::vector<std::vector<Digest>>& blocks) { return writer_.id(blocks); }
  /// The file becomes visible under its id, durably; refs are not touched. `blocks[a]` are layout().arrays[a]'s
  /// digests. A stage of the same content that is there already is kept and this one dropped, if every byte of it and
  /// what it links to is intact; else this one takes its place. Returns the id.
  std::string publish(const std::vector<std::vector<Digest>>& blocks);

 private:
  /// Writes the stage over a damaged file of the same id, with nothing linked that the old one may have held.
  void replace_damaged(const std::filesystem::path& fresh);

  Store store_;
  const StoreLock& lock_;
  StageDraft draft_;  ///< without `known`
  StageFileWriter writer_;
};

/// Serves the bytes [begin, begin + out.size()) of an array that is being written.
using ArrayProvider = std::function<void(const ArraySpec& array, std::uint64_t begin, std::span<std::byte> out)>;

/// One process writes and publishes a whole stage, block after block with bounded memory. Returns the id.
std::string write_stage(const Store& store, const StoreLock& lock, StageDraft draft, const ArrayProvider& provider);

}  // namespace retain::framework
