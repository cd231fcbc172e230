// SPDX-License-Identifier: Apache-2.0
// Stages and mid-stage checkpoints written and read by all ranks of a mesh at once. Files hold arrays of global shape,
// so what any mesh wrote any other mesh reads, bit for bit.
#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/store/commit.h"
#include "framework/store/progress.h"
#include "framework/store/stage_memo.h"
#include "framework/store/stage_reader.h"
#include "framework/store/store.h"
#include "framework/store/store_lock.h"
#include "parallel/mesh.h"
#include "parallel/parameter.h"
#include "parallel/rank_groups.h"

namespace retain::parallel {

class ArraySnapshot;

/// One global array as the ranks hold it. The description is the same on every rank; `local` is this rank's part.
struct ShardedArray {
  std::string path;    ///< in the file: "tensors/<name>", "optimizer/<state>/<name>"
  ParameterSpec spec;  ///< shape, cut and pipeline stages; `dtype` is that of the array (float32 for optimizer moments)
  /// Which elements of its slice (flat, row-major) data rank `data_rank` holds, where `slice_elements` is the slice's
  /// size; the ranges of all data ranks together cover it. Empty function: every data rank holds all (replicated).
  std::function<Range(std::int64_t slice_elements, int data_rank)> data_share;
  at::Tensor local;  ///< contiguous, the slice or this rank's share of it; undefined on pipeline stages without it
  /// Writing, instead of `local`: makes it when its turn comes and lets it go afterwards, so that only one array's copy
  /// lives at a time. May be collective over mesh.data(): all ranks come to it in the order of the list.
  std::function<at::Tensor()> fetch;
  /// Reading, instead of `local`: is given the filled tensor [elements of the part], flat, of spec.dtype, on the CPU.
  std::function<void(const at::Tensor&)> take;
};

/// Parameters as arrays under "tensors/". `selected` keeps only those it names (empty function: all). The list is the
/// same on all ranks; `parameters` are this rank's.
std::vector<ShardedArray> arrays_of(const ParameterTable& table, const ParameterSet& parameters,
                                    const std::function<bool(const std::string&)>& selected = {});

/// The store as one mesh uses it. All functions are collective over mesh.world() unless said otherwise; a failure on
/// one rank is thrown on every rank as the same Error with that rank's number.
class ShardedStore {
 public:
  enum class Access { read, write };

  /// `write` creates the store when there is none and takes its lock on rank 0, for as long as this object lives.
  /// Throws Error(store_locked), Error(store_invalid), Error(io).
  ShardedStore(const std::filesystem::path& root, const Mesh& mesh, Access access,
               const std::string& purpose = "retain",
               framework::FileOperations& operations = framework::FileOperations::system());
  /// For writing by several groups of one run, each with a mesh over its own ranks: collective over all of them. The run holds
  /// the store's lock together; rank 0 of each mesh is the author of what its group writes.
  ShardedStore(const std::filesystem::path& root, const Mesh& mesh, const RankGroups& groups, const std::string& purpose);
  ~ShardedStore();

  const framework::Store& store() const { return *store_; }
  /// Rank 0 of a mesh that writes only (Error(internal) elsewhere): for refs and results.
  const framework::StoreLock& lock() const;
  bool is_author() const { return lock_ != nullptr; }

  /// Store::resolve on rank 0, told to all.
  std::string resolve(const std::string& name);

  /// Writes `arrays` as a stage (draft.arrays is filled in here; draft must be equal on all ranks) and publishes it;
  /// when `branch` is not empty it is moved to the new stage with `why` in the log. Returns the stage's id on all
  /// ranks. `published` is called on every rank once it is durable and its branch moved.
  std::string commit(framework::StageDraft draft, const std::vector<ShardedArray>& arrays, const std::string& branch,
                     const std::string& why, std::function<void(const std::string& stage)> published = {});

  /// From now on commit() and put_progress() return as soon as the ranks have copied and hashed what they will write; a
  /// thread a rank writes it while work goes on. One file at a time: the next commit waits for it. It becomes visible,
  /// or its failure is thrown on every rank, in settle().
  void write_in_background(bool on) { in_background_ = on; }
  /// Whether this rank still writes. Not collective.
  bool busy() const noexcept;
  /// Whether the stage of that id, or a checkpoint of that run, is under way. The same on every rank.
  bool is_writing(const std::string& stage_or_run) const noexcept;
  /// Waits for the file under way, if there is one, and publishes it.
  void settle();
  /// Only if it is the stage or the run of that name.
  void settle(const std::string& stage_or_run);

  /// Writes the checkpoint of `step` and removes all but the newest `keep` of this run.
  void put_progress(const std::string& run_key, std::int64_t step, framework::StageDraft draft,
                    const std::vector<ShardedArray>& arrays, std::size_t keep);

  /// Fills `parameters` (names and shapes must match: Error(checkpoint_missing_tensor),
  /// Error(checkpoint_shape_mismatch)) from a stage. Bytes are converted when the dtypes differ. Each rank reads the
  /// blocks its slice touches; slices along another dimension than the first are read in turns by the tensor group and
  /// exchanged.
  void read(const std::string& stage, ParameterSet& parameters);

  /// The same from any source (a blend, a weight directory). Not collective: each rank reads its own slices.
  static void read(const framework::TensorSource& source, const Mesh& mesh, ParameterSet& parameters);

  /// The newest intact checkpoint of a run, agreed on by all ranks; its metadata is the same everywhere. The ranks divide its
  /// blocks among them and read all of it, so that nothing is put into a model of a checkpoint whose end is damaged.
  struct Progress {
    std::int64_t step = 0;
    std::vector<std::string> parents;
    framework::json::object inputs;  ///< the state given to put_progress
    framework::json::object info;
    std::vector<std::string> paths;  ///< of its arrays
  };
  /// Adds to `passed` what was found in newer ones. Whoever then goes on from none asks passed->require_readable() first; without
  /// `passed` that is asked here.
  std::optional<Progress> latest_progress(const std::string& run_key, framework::PassedOver* passed = nullptr);

  /// Fills the `local` tensors of `arrays` (defined, of the right size, on ranks that hold them) from the checkpoint of
  /// a step. The mesh may differ from the one that wrote it. Throws Error(checkpoint_missing_tensor) and the store's
  /// errors.
  void read_progress(const std::string& run_key, std::int64_t step, const std::vector<ShardedArray>& arrays);

  /// Removes the checkpoints of a run.
  void clear_progress(const std::string& run_key);

  /// Memoised results, on all ranks (rank 0 reads and writes).
  std::optional<framework::json::value> get_result(const std::string& key);
  /// framework::made_stage, kept_stage and put_made_stage (stage_memo.h), on all ranks.
  std::optional<framework::MadeStage> made_stage(const std::string& key);
  std::optional<std::string> get_stage(const std::string& key);
  void put_stage(const std::string& key, const std::string& stage);
  void put_result(const std::string& key, const framework::json::value& value);

  /// Bytes of array data this rank has read and written.
  std::int64_t bytes_read() const noexcept { return bytes_read_; }
  std::int64_t bytes_written() const noexcept { return bytes_written_; }

 private:
  struct UnderWay;
  /// Digests of the arrays that a stage of the store may hold already.
  std::map<std::string, std::vector<framework::Digest>> digests_of_known(const std::vector<ShardedArray>& arrays);
  std::string write(std::unique_ptr<UnderWay> file, const framework::StageLayout& layout,
                    const std::vector<ShardedArray>& arrays, std::optional<ArraySnapshot> snapshot);
  std::string publish(UnderWay& file);

  const Mesh& mesh_;
  std::unique_ptr<framework::Store> store_;
  std::unique_ptr<framework::StoreLock> lock_;
  std::unique_ptr<UnderWay> under_way_;
  bool in_background_ = false;
  std::int64_t bytes_read_ = 0;
  std::int64_t bytes_written_ = 0;
};

}  // namespace retain::parallel
