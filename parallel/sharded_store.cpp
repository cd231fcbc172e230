// SPDX-License-Identifier: Apache-2.0
#include "parallel/sharded_store.h"

#include <set>
#include <utility>

#include "framework/store/held_arrays.h"
#include "framework/store/progress.h"
#include "framework/store/refs.h"
#include "framework/store/results.h"
#include "parallel/agreement.h"
#include "parallel/array_writer.h"

namespace retain::parallel {

namespace json = framework::json;
using framework::Digest;
using framework::Error;
using framework::ErrorKind;

namespace {

framework::StageDraft with_arrays(framework::StageDraft draft, const std::vector<ShardedArray>& arrays) {
  draft.arrays.clear();
  for (const ShardedArray& array : arrays) draft.arrays.push_back({array.path, array.spec.dtype, array.spec.shape});
  return draft;
}

}  // namespace

std::vector<ShardedArray> arrays_of(const ParameterTable& table, const ParameterSet& parameters,
                                    const std::function<bool(const std::string&)>& selected) {
  std::vector<ShardedArray> arrays;
  for (const ParameterSpec& spec : table.rows()) {
    if (selected && !selected(spec.name)) continue;
    at::Tensor local = parameters.has(spec.name) ? parameters.at(spec.name).detach() : at::Tensor();
    arrays.push_back({std::string(framework::kTensorPrefix) + spec.name, spec, {}, std::move(local), {}, {}});
  }
  return arrays;
}

/// A stage or checkpoint between its layout and its publication.
struct ShardedStore::UnderWay {
  std::string name;                               // stage id or run key
  std::unique_ptr<framework::StageCommit> stage;  // on rank 0 one of these two
  std::unique_ptr<framework::ProgressCommit> checkpoint;
  std::vector<std::vector<Digest>> blocks;
  std::string branch;
  std::string why;
  std::size_t keep = 0;
  std::function<void(const std::string&)> published;
  std::unique_ptr<BackgroundWrite> bytes;  // last: ends before the author takes the file away
};

ShardedStore::ShardedStore(const std::filesystem::path& root, const Mesh& mesh, Access access,
                           const std::string& purpose, framework::FileOperations& operations)
    : mesh_(mesh) {
  agree(mesh.world(), [&] {
    if (access == Access::read || mesh.world().rank() != 0) return;
    store_ = std::make_unique<framework::Store>(framework::Store::open_or_create(root, operations));
    lock_ = std::make_unique<framework::StoreLock>(*store_, purpose);
  });
  agree(mesh.world(), [&] {
    if (!store_) store_ = std::make_unique<framework::Store>(framework::Store::open(root, operations));
  });
}

ShardedStore::ShardedStore(const std::filesystem::path& root, const Mesh& mesh, const RankGroups& groups,
                           const std::string& purpose)
    : mesh_(mesh) {
  agree(groups.all(), [&] {
    if (groups.all().rank() != 0) return;
    store_ = std::make_unique<framework::Store>(framework::Store::open_or_create(root));
    lock_ = std::make_unique<framework::StoreLock>(*store_, purpose);
    if (groups.count() > 1) lock_->admit();
  });
  agree(groups.all(), [&] {
    if (store_) return;
    store_ = std::make_unique<framework::Store>(framework::Store::open(root));
    if (mesh.world().rank() == 0)
      lock_ = std::make_unique<framework::StoreLock>(framework::StoreLock::join(*store_, groups.index()));
  });
}

ShardedStore::~ShardedStore() = default;

const framework::StoreLock& ShardedStore::lock() const {
  if (lock_) return *lock_;
  throw Error(ErrorKind::internal, "this rank does not hold the store's lock");
}

std::string ShardedStore::resolve(const std::string& name) {
  return from_first(mesh_.world(), [&] { return store_->resolve(name); });
}

bool ShardedStore::busy() const noexcept {
  return under_way_ && under_way_->bytes->busy();
}

bool ShardedStore::is_writing(const std::string& stage_or_run) const noexcept {
  return under_way_ && under_way_->name == stage_or_run;
}

void ShardedStore::settle() {
  if (!under_way_) return;
  const std::unique_ptr<UnderWay> file = std::move(under_way_);
  file->bytes->wait();
  bytes_written_ += file->bytes->bytes_written();
  publish(*file);
}

void ShardedStore::settle(const std::string& stage_or_run) {
  if (is_writing(stage_or_run)) settle();
}

std::string ShardedStore::publish(UnderWay& file) {
  const std::string id = from_first(mesh_.world(), [&]() -> std::string {
    if (file.checkpoint) {
      file.checkpoint->publish(file.blocks, file.keep);
      return {};
    }
    const std::string stage = file.stage->publish(file.blocks);
    if (!file.branch.empty())
      framework::move_ref(*store_, lock(), framework::RefKind::branch, file.branch, stage, file.why);
    return stage;
  });
  if (file.published) file.published(id);
  return id;
}

std::string ShardedStore::write(std::unique_ptr<UnderWay> file, const framework::StageLayout& layout,
                                const std::vector<ShardedArray>& arrays, std::optional<ArraySnapshot> snapshot) {
  if (!snapshot) {
    file->blocks = in_order(layout, write_arrays(*store_, mesh_, layout, arrays, bytes_written_));
    return publish(*file);
  }
  file->blocks = in_order(layout, snapshot->digests());
  const std::string id =
      from_first(mesh_.world(), [&] { return file->stage ? file->stage->id(file->blocks) : std::string(); });
  if (file->name.empty()) file->name = id;
  file->bytes = std::make_unique<BackgroundWrite>(*store_, mesh_, layout, *std::move(snapshot));
  under_way_ = std::move(file);
  return id;
}

ArrayDigests ShardedStore::digests_of_known(const std::vector<ShardedArray>& arrays) {
  const ArrayDigests first_blocks = first_block_digests(mesh_, arrays);
  const std::string names = from_first(mesh_.world(), [&] {
    const framework::HeldArrays held(*store_);
    json::array known;
    for (const ShardedArray& array : arrays) {
      const std::vector<Digest>& blocks = first_blocks.at(array.path);
      if (!blocks.empty() && held.may_hold({array.path, array.spec.dtype, array.spec.shape}, blocks.front()))
        known.emplace_back(array.path);
    }
    return json::serialize(known);
  });
  const json::value known = framework::parse_json(names, "rank 0's list of arrays", ErrorKind::internal);
  if (known.as_array().empty()) return {};
  std::set<std::string> paths;
  for (const json::value& path : known.as_array()) paths.emplace(path.as_string());
  return digests_of(mesh_, arrays, paths);
}

std::string ShardedStore::commit(framework::StageDraft draft, const std::vector<ShardedArray>& arrays,
                                 const std::string& branch, const std::string& why,
                                 std::function<void(const std::string& stage)> published) {
  settle();
  std::optional<ArraySnapshot> snapshot;
  if (in_background_) snapshot.emplace(mesh_, arrays);
  draft.known = snapshot ? snapshot->digests() : digests_of_known(arrays);
  auto file = std::make_unique<UnderWay>();
  file->branch = branch;
  file->why = why;
  file->published = std::move(published);
  const std::string layout = from_first(mesh_.world(), [&] {
    file->stage = std::make_unique<framework::StageCommit>(*store_, lock(), with_arrays(std::move(draft), arrays));
    return file->stage->layout().to_text();
  });
  return write(std::move(file), framework::StageLayout::from_text(layout), arrays, std::move(snapshot));
}

void ShardedStore::put_progress(const std::string& run_key, std::int64_t step, framework::StageDraft draft,
                                const std::vector<ShardedArray>& arrays, std::size_t keep) {
  settle();
  std::optional<ArraySnapshot> snapshot;
  if (in_background_) snapshot.emplace(mesh_, arrays);
  auto file = std::make_unique<UnderWay>();
  file->name = run_key;
  file->keep = keep;
  const std::string layout = from_first(mesh_.world(), [&] {
    file->checkpoint = std::make_unique<framework::ProgressCommit>(*store_, lock(), run_key, step,
                                                                   with_arrays(std::move(draft), arrays));
    return file->checkpoint->layout().to_text();
  });
  write(std::move(file), framework::StageLayout::from_text(layout), arrays, std::move(snapshot));
}

void ShardedStore::clear_progress(const std::string& run_key) {
  settle(run_key);
  from_first(mesh_.world(), [&] {
    framework::clear_progress(*store_, lock(), run_key);
    return std::string();
  });
}

std::optional<json::value> ShardedStore::get_result(const std::string& key) {
  const std::string text = from_first(mesh_.world(), [&] {
    const auto value = framework::get_result(*store_, key);
    return value ? json::serialize(*value) : std::string();
  });
  if (text.empty()) return std::nullopt;
  return framework::parse_json(text, "result " + key, ErrorKind::internal);
}

std::optional<framework::MadeStage> ShardedStore::made_stage(const std::string& key) {
  const std::string told = from_first(mesh_.world(), [&]() -> std::string {
    const auto made = framework::made_stage(*store_, key);
    return made ? (made->here ? "+" : "-") + made->id : std::string();
  });
  if (told.empty()) return std::nullopt;
  return framework::MadeStage{told.substr(1), told.front() == '+'};
}

std::optional<std::string> ShardedStore::get_stage(const std::string& key) {
  const std::string stage = from_first(mesh_.world(), [&] { return framework::kept_stage(*store_, key).value_or(""); });
  return stage.empty() ? std::nullopt : std::optional(stage);
}

void ShardedStore::put_stage(const std::string& key, const std::string& stage) {
  from_first(mesh_.world(), [&] {
    framework::put_made_stage(*store_, lock(), key, stage);
    return std::string();
  });
}

void ShardedStore::put_result(const std::string& key, const json::value& value) {
  from_first(mesh_.world(), [&] {
    framework::put_result(*store_, lock(), key, value);
    return std::string();
  });
}

}  // namespace retain::parallel
