// SPDX-License-Identifier: Apache-2.0
#include "parallel/sharded_store.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <exception>
#include <map>
#include <sstream>
#include <utility>

#include "framework/store/progress.h"
#include "framework/store/refs.h"
#include "framework/store/results.h"
#include "parallel/agreement.h"
#include "parallel/scalar_type.h"
#include "parallel/shard_exchange.h"
#include "parallel/slice_reader.h"

namespace retain::parallel {

namespace json = framework::json;
using framework::ArraySpec;
using framework::Digest;
using framework::Error;
using framework::ErrorKind;

namespace {

/// "array:block:hex,hex\n" lines of what one rank wrote.
std::string to_text(std::size_t array, std::uint64_t first_block, const std::vector<Digest>& digests) {
  std::string line = std::to_string(array) + " " + std::to_string(first_block);
  for (const Digest& digest : digests) line.append(1, ' ').append(framework::to_hex(digest));
  return line.append(1, '\n');
}

void add_digests(const std::string& text, std::vector<std::vector<Digest>>& blocks) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::size_t array = 0;
    std::size_t block = 0;
    words >> array >> block;
    for (std::string hex; words >> hex; ++block)
      blocks.at(array).at(block) = framework::digest_from_hex(hex, "a rank's report");
  }
}

void require_same_shape(const ParameterSpec& spec, const std::vector<std::int64_t>& found, const std::string& origin) {
  if (spec.shape == found) return;
  throw Error(ErrorKind::checkpoint_shape_mismatch,
              {origin + " has another shape for " + spec.name, framework::to_string(spec.shape),
               framework::to_string(found), "use a stage of the same model"});
}

/// Where bytes of `stored` dtype can be put: the tensor itself where that fits, else a buffer to convert from.
at::Tensor landing(const at::Tensor& target, framework::DType stored) {
  const at::ScalarType type = scalar_type(stored);
  if (target.is_cpu() && target.scalar_type() == type && target.is_contiguous()) return target.detach();
  return at::empty(target.sizes(), at::TensorOptions().dtype(type));
}

void settle(const at::Tensor& target, const at::Tensor& landed) {
  if (landed.data_ptr() != target.data_ptr()) target.detach().copy_(landed);
}

/// Room for this rank's part of an array.
at::Tensor empty_part(const Mesh& mesh, const ShardedArray& array) {
  const MeshPosition& me = mesh.position();
  return at::empty({geometry_of(array, me.tensor, me.data).elements()},
                   at::TensorOptions().dtype(scalar_type(array.spec.dtype)));
}

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

ShardedStore::~ShardedStore() = default;

const framework::StoreLock& ShardedStore::lock() const {
  if (lock_) return *lock_;
  throw Error(ErrorKind::internal, "this rank does not hold the store's lock");
}

std::string ShardedStore::resolve(const std::string& name) {
  return from_first(mesh_.world(), [&] { return store_->resolve(name); });
}

std::vector<std::vector<Digest>> ShardedStore::write_arrays(const framework::StageLayout& layout,
                                                            const std::vector<ShardedArray>& arrays) {
  std::map<std::string, std::size_t> place;
  for (std::size_t i = 0; i < layout.arrays.size(); ++i) place.emplace(layout.arrays[i].spec.path, i);
  const std::vector<Chunk> chunks = deal(arrays, mesh_.shape());
  std::unique_ptr<framework::ExtentWriter> writer;
  agree(mesh_.world(),
        [&] { writer = std::make_unique<framework::ExtentWriter>(store_->operations(), store_->root(), layout); });
  std::string report;
  gather_chunks(mesh_, arrays, chunks, [&](const Chunk& chunk, std::span<const std::byte> bytes) {
    const std::size_t array = place.at(arrays[chunk.array].path);
    const std::uint64_t first = static_cast<std::uint64_t>(chunk.bytes.begin) / framework::kBlockBytes;
    report += to_text(array, first, writer->write(array, first, bytes));
  });
  agree(mesh_.world(), [&] { writer->finish(); });
  bytes_written_ += static_cast<std::int64_t>(writer->bytes_written());
  std::vector<std::vector<Digest>> blocks;
  for (const framework::ArrayEntry& array : layout.arrays) blocks.emplace_back(array.spec.blocks());
  for (const std::string& text : mesh_.world().gather_text(report)) add_digests(text, blocks);
  return blocks;
}

std::string ShardedStore::commit(framework::StageDraft draft, const std::vector<ShardedArray>& arrays,
                                 const std::string& branch, const std::string& why) {
  std::unique_ptr<framework::StageCommit> commit;
  const std::string layout = from_first(mesh_.world(), [&] {
    commit = std::make_unique<framework::StageCommit>(*store_, lock(), with_arrays(std::move(draft), arrays));
    return commit->layout().to_text();
  });
  const auto blocks = write_arrays(framework::StageLayout::from_text(layout), arrays);
  return from_first(mesh_.world(), [&] {
    const std::string id = commit->publish(blocks);
    if (!branch.empty()) framework::move_ref(*store_, lock(), framework::RefKind::branch, branch, id, why);
    return id;
  });
}

void ShardedStore::put_progress(const std::string& run_key, std::int64_t step, framework::StageDraft draft,
                                const std::vector<ShardedArray>& arrays, std::size_t keep) {
  std::unique_ptr<framework::ProgressCommit> commit;
  const std::string layout = from_first(mesh_.world(), [&] {
    commit = std::make_unique<framework::ProgressCommit>(*store_, lock(), run_key, step,
                                                         with_arrays(std::move(draft), arrays));
    return commit->layout().to_text();
  });
  const auto blocks = write_arrays(framework::StageLayout::from_text(layout), arrays);
  from_first(mesh_.world(), [&] {
    commit->publish(blocks, keep);
    return std::string();
  });
}

void ShardedStore::read(const std::string& stage, ParameterSet& parameters) {
  std::unique_ptr<framework::StageReader> reader;
  agree(mesh_.world(), [&] {
    reader = std::make_unique<framework::StageReader>(*store_, stage);
    for (const Parameter& parameter : parameters.all())
      require_same_shape(parameter.spec, reader->place("tensors/" + parameter.spec.name).array->spec.shape,
                         "stage " + stage);
  });
  std::exception_ptr failure;
  for (Parameter& parameter : parameters.all()) {
    const auto [file, entry] = reader->place("tensors/" + parameter.spec.name);
    ShardedArray array{entry->spec.path, parameter.spec, {}, landing(parameter.value, entry->spec.dtype), {}, {}};
    array.spec.dtype = entry->spec.dtype;
    const auto read_bytes = [&](std::uint64_t begin, std::span<std::byte> out) { file->read(*entry, begin, out); };
    scatter_array(mesh_, array, read_bytes, failure);
    settle(parameter.value, array.local);
  }
  bytes_read_ += reader->bytes_read();
  agree(mesh_.world(), [&] {
    if (failure) std::rethrow_exception(failure);
  });
}

void ShardedStore::read(const framework::TensorSource& source, const Mesh& mesh, ParameterSet& parameters) {
  for (Parameter& parameter : parameters.all()) {
    const ParameterSpec& spec = parameter.spec;
    const framework::TensorInfo* tensor = source.find(spec.name);
    if (!tensor) throw Error(ErrorKind::checkpoint_missing_tensor, "there is no tensor " + spec.name);
    require_same_shape(spec, tensor->shape, "the source");
    const at::Tensor landed = landing(parameter.value, tensor->dtype);
    read_slice(source, spec, mesh.position().tensor, {static_cast<std::byte*>(landed.data_ptr()), landed.nbytes()});
    settle(parameter.value, landed);
  }
}

std::optional<ShardedStore::Progress> ShardedStore::latest_progress(const std::string& run_key) {
  const std::string text = from_first(mesh_.world(), [&]() -> std::string {
    const framework::LatestProgress latest = framework::latest_progress(*store_, run_key);
    if (!latest.step) return {};
    const auto opened = framework::open_progress(*store_, run_key, *latest.step);
    const framework::StageFile& file = *opened;
    json::array parents(file.manifest().parents.begin(), file.manifest().parents.end());
    json::array paths;
    for (const framework::ArrayEntry& array : file.manifest().arrays) paths.emplace_back(array.spec.path);
    return json::serialize(
        json::array{*latest.step, std::move(parents), file.manifest().inputs, file.manifest().info, std::move(paths)});
  });
  if (text.empty()) return std::nullopt;
  const json::value value = framework::parse_json(text, "rank 0's checkpoint", ErrorKind::internal);
  Progress progress{value.at(0).as_int64(), {}, value.at(2).as_object(), value.at(3).as_object(), {}};
  for (const json::value& parent : value.at(1).as_array()) progress.parents.emplace_back(parent.as_string());
  for (const json::value& path : value.at(4).as_array()) progress.paths.emplace_back(path.as_string());
  return progress;
}

void ShardedStore::read_progress(const std::string& run_key, std::int64_t step,
                                 const std::vector<ShardedArray>& arrays) {
  std::unique_ptr<const framework::StageFile> file;
  agree(mesh_.world(), [&] {
    file = framework::open_progress(*store_, run_key, step);
    for (const ShardedArray& array : arrays) {
      const framework::ArrayEntry* entry = file->find(array.path);
      if (!entry || !entry->here())
        throw Error(ErrorKind::checkpoint_missing_tensor,
                    {"checkpoint " + file->path().string() + " has no " + array.path,
                     {},
                     {},
                     "resume with the recipe that wrote it"});
      require_same_shape(array.spec, entry->spec.shape, file->path().string());
    }
  });
  std::exception_ptr failure;
  for (const ShardedArray& array : arrays) {
    if (!array.local.defined() && !array.take) continue;
    const framework::ArrayEntry& entry = *file->find(array.path);
    const at::Tensor target = array.local.defined() ? array.local : empty_part(mesh_, array);
    ShardedArray landed = array;
    landed.local = landing(target, entry.spec.dtype);
    landed.spec.dtype = entry.spec.dtype;
    const auto read_bytes = [&](std::uint64_t begin, std::span<std::byte> out) { file->read(entry, begin, out); };
    scatter_array(mesh_, landed, read_bytes, failure);
    settle(target, landed.local);
    if (array.take && !failure) array.take(target);
  }
  bytes_read_ += static_cast<std::int64_t>(file->bytes_read());
  agree(mesh_.world(), [&] {
    if (failure) std::rethrow_exception(failure);
  });
}

void ShardedStore::clear_progress(const std::string& run_key) {
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

std::optional<std::string> ShardedStore::get_stage(const std::string& key) {
  const std::string stage = from_first(mesh_.world(), [&]() -> std::string {
    const auto value = framework::get_result(*store_, key);
    const json::object* object = value ? value->if_object() : nullptr;
    const json::value* name = object ? object->if_contains("stage") : nullptr;
    if (!name || !name->is_string()) return {};
    if (store_->has_stage(std::string(name->get_string()))) return std::string(name->get_string());
    if (lock_) framework::remove_result(*store_, *lock_, key);  // made again, it may differ in rounding on another mesh
    return {};
  });
  return stage.empty() ? std::nullopt : std::optional(stage);
}

void ShardedStore::put_result(const std::string& key, const json::value& value) {
  from_first(mesh_.world(), [&] {
    framework::put_result(*store_, lock(), key, value);
    return std::string();
  });
}

}  // namespace retain::parallel
