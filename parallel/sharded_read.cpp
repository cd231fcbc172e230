// SPDX-License-Identifier: Apache-2.0
// The reading half of ShardedStore.
#include <ATen/ops/empty.h>

#include <exception>
#include <utility>

#include "framework/store/progress.h"
#include "parallel/agreement.h"
#include "parallel/scalar_type.h"
#include "parallel/shard_exchange.h"
#include "parallel/sharded_store.h"
#include "parallel/slice_reader.h"

namespace retain::parallel {

namespace json = framework::json;
using framework::Error;
using framework::ErrorKind;

namespace {

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

void put_into(const at::Tensor& target, const at::Tensor& landed) {
  if (landed.data_ptr() != target.data_ptr()) target.detach().copy_(landed);
}

/// Room for this rank's part of an array.
at::Tensor empty_part(const Mesh& mesh, const ShardedArray& array) {
  const MeshPosition& me = mesh.position();
  return at::empty({geometry_of(array, me.tensor, me.data).elements()},
                   at::TensorOptions().dtype(scalar_type(array.spec.dtype)));
}

/// As rank 0 sees the folder: on network file systems the others may see it later.
std::vector<std::int64_t> steps_of(const framework::Store& store, Communicator& world, const std::string& run_key) {
  const std::string text = from_first(world, [&] {
    const std::vector<std::int64_t> steps = framework::progress_steps(store, run_key);
    return json::serialize(json::array(steps.begin(), steps.end()));
  });
  const json::value list = framework::parse_json(text, "rank 0's list of checkpoints", ErrorKind::internal);
  std::vector<std::int64_t> steps;
  for (const json::value& step : list.as_array()) steps.push_back(step.as_int64());
  return steps;
}

/// Reads this rank's part of a file's blocks, dealt in turn. Returns its bytes. Throws Error(store_digest) and Error(io).
std::int64_t check_share(const framework::StageFile& file, const Communicator& world) {
  if (world.rank() == 0) file.check_skeleton();
  int turn = 0;
  for (const framework::ArrayEntry& array : file.manifest().arrays)
    for (std::uint64_t block = 0; array.here() && block < array.spec.blocks(); ++block)
      if (turn++ % world.size() == world.rank()) file.check_block(array, block);
  return static_cast<std::int64_t>(file.bytes_read());
}

}  // namespace

void ShardedStore::read(const std::string& stage, ParameterSet& parameters) {
  settle(stage);
  std::unique_ptr<framework::StageReader> reader;
  agree(mesh_.world(), [&] {
    reader = std::make_unique<framework::StageReader>(*store_, stage);
    for (const Parameter& parameter : parameters.all())
      require_same_shape(parameter.spec, reader->place("tensors/" + parameter.spec.name).array->spec.shape,
                         "stage " + stage);
  });
  std::exception_ptr failure;
  for (Parameter& parameter : parameters.all()) {
    const framework::StageReader::Place place = reader->place("tensors/" + parameter.spec.name);
    ShardedArray array{place.array->spec.path, parameter.spec, {}, landing(parameter.value, place.array->spec.dtype), {}, {}};
    array.spec.dtype = place.array->spec.dtype;
    const auto read_bytes = [&](std::uint64_t begin, std::span<std::byte> out) { place.file->read(*place.array, begin, out); };
    scatter_array(mesh_, array, read_bytes, failure);
    put_into(parameter.value, array.local);
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
    put_into(parameter.value, landed);
  }
}

std::optional<ShardedStore::Progress> ShardedStore::latest_progress(const std::string& run_key, framework::PassedOver* passed) {
  settle(run_key);
  const framework::LatestProgress latest =
      framework::newest_intact(steps_of(*store_, mesh_.world(), run_key), [&](std::int64_t step) {
        agree(mesh_.world(), [&] { bytes_read_ += check_share(*framework::open_progress(*store_, run_key, step), mesh_.world()); });
      });
  if (passed) {
    passed->damaged.insert(passed->damaged.end(), latest.passed.damaged.begin(), latest.passed.damaged.end());
    passed->unreadable += latest.passed.unreadable;
  } else if (!latest.step) {
    latest.passed.require_readable();
  }
  if (!latest.step) return std::nullopt;
  const std::string text = from_first(mesh_.world(), [&] {
    const auto opened = framework::open_progress(*store_, run_key, *latest.step);
    const framework::StageFile& file = *opened;
    json::array parents(file.manifest().parents.begin(), file.manifest().parents.end());
    json::array paths;
    for (const framework::ArrayEntry& array : file.manifest().arrays) paths.emplace_back(array.spec.path);
    return json::serialize(
        json::array{*latest.step, std::move(parents), file.manifest().inputs, file.manifest().info, std::move(paths)});
  });
  const json::value value = framework::parse_json(text, "rank 0's checkpoint", ErrorKind::internal);
  Progress progress{value.at(0).as_int64(), {}, value.at(2).as_object(), value.at(3).as_object(), {}};
  for (const json::value& parent : value.at(1).as_array()) progress.parents.emplace_back(parent.as_string());
  for (const json::value& path : value.at(4).as_array()) progress.paths.emplace_back(path.as_string());
  return progress;
}

void ShardedStore::read_progress(const std::string& run_key, std::int64_t step,
                                 const std::vector<ShardedArray>& arrays) {
  settle(run_key);
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
    put_into(target, landed.local);
    if (array.take && !failure) array.take(target);
  }
  bytes_read_ += static_cast<std::int64_t>(file->bytes_read());
  agree(mesh_.world(), [&] {
    if (failure) std::rethrow_exception(failure);
  });
}

}  // namespace retain::parallel
