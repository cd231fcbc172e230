// SPDX-License-Identifier: Apache-2.0
#include "framework/store/commit.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "framework/store/held_arrays.h"
#include "framework/store/stage_reader.h"

namespace retain::framework {
namespace {

void check_path(const ArraySpec& spec) {
  if (!is_array_path(spec.path) || spec.path == "manifest" || spec.path.find('/') == std::string::npos)
    throw Error(ErrorKind::internal, "\"" + spec.path + "\" cannot name an array in a stage");
}

/// Arrays that need not be written become links.
void share(const Store& store, const std::map<std::string, std::vector<Digest>>& known, Manifest& manifest) {
  if (known.empty()) return;
  const HeldArrays held(store);
  for (ArrayEntry& array : manifest.arrays) {
    const auto blocks = known.find(array.spec.path);
    if (!array.here() || blocks == known.end()) continue;
    const Digest digest = digest_of(std::span<const Digest>(blocks->second));
    array.holder = held.holder_of(array.spec, digest, manifest.parents, manifest.inputs);
    if (!array.here()) array.digest = digest;
  }
}

/// The first parent's arrays as links, then what is new; arrays to write are left without a holder.
Manifest plan(const Store& store, StageDraft draft) {
  Manifest manifest{"stage", std::move(draft.parents), std::move(draft.inputs), std::move(draft.info), {}};
  std::map<std::string, ArraySpec> written;
  for (const ArraySpec& spec : draft.arrays) {
    check_path(spec);
    if (!written.emplace(spec.path, spec).second)
      throw Error(ErrorKind::internal, "a stage would write " + spec.path + " twice");
  }
  const std::set<std::string> removed(draft.removed.begin(), draft.removed.end());
  std::set<std::string> placed;
  if (!manifest.parents.empty()) {
    const StageReader parent(store, manifest.parents.front());
    for (const ArrayEntry& array : parent.manifest().arrays) {
      const std::string& path = array.spec.path;
      if (removed.contains(path)) continue;
      placed.insert(path);
      const auto found = written.find(path);
      if (found != written.end())
        manifest.arrays.push_back({found->second, {}, {}, 0, {}});
      else
        manifest.arrays.push_back({array.spec, array.digest, array.here() ? parent.id() : array.holder, 0, {}});
    }
  }
  for (std::size_t i = 1; i < manifest.parents.size(); ++i) open_stage_file(store, manifest.parents[i]);
  for (const ArraySpec& spec : draft.arrays)
    if (!placed.contains(spec.path)) manifest.arrays.push_back({spec, {}, {}, 0, {}});
  share(store, draft.known, manifest);
  return manifest;
}

/// Whether a stage is in the store with all its bytes, and everything it links to is where it says.
bool is_whole(const Store& store, const std::string& id) {
  if (!store.has_stage(id)) return false;
  try {
    StageReader(store, id).file().check_all();
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

StageCommit::StageCommit(const Store& store, const StoreLock& lock, StageDraft draft)
    : store_(store),
      lock_(lock),
      draft_(draft),
      writer_((lock.check(store), store.operations()), store.root(), store.temporary_name("stage"),
              plan(store, std::move(draft))) {
  draft_.known.clear();
}

std::string StageCommit::publish(const std::vector<std::vector<Digest>>& blocks) {
  FileOperations& operations = store_.operations();
  const std::string id = writer_.finish(blocks);
  const std::filesystem::path temporary = store_.root() / writer_.layout().file;
  // A stop between this rename and the move of the ref leaves the whole stage behind; the rerun arrives here again.
  if (is_whole(store_, id))
    operations.remove(temporary);
  else if (store_.has_stage(id) && layout().arrays.size() < draft_.arrays.size())
    replace_damaged(temporary);
  else
    operations.rename(temporary, store_.stage_path(id));
  operations.sync_directory(store_.root() / "stages");
  return id;
}

// Other stages may have links to arrays that the damaged file held. Were one of them a link in the new file, theirs
// would lead nowhere: so the new file holds whatever the stage changed.
void StageCommit::replace_damaged(const std::filesystem::path& fresh) {
  const StageFile file(store_.operations(), fresh);
  write_stage(store_, lock_, draft_, [&](const ArraySpec& spec, std::uint64_t begin, std::span<std::byte> out) {
    const ArrayEntry& array = *file.find(spec.path);
    if (array.here()) return file.read(array, begin, out);
    const auto holder = open_stage_file(store_, array.holder);
    holder->read(*holder->find(spec.path), begin, out);
  });
  store_.operations().remove(fresh);
}

std::string write_stage(const Store& store, const StoreLock& lock, StageDraft draft, const ArrayProvider& provider) {
  StageCommit commit(store, lock, std::move(draft));
  ExtentWriter writer(store.operations(), store.root(), commit.layout());
  std::vector<std::vector<Digest>> blocks;
  std::vector<std::byte> buffer;
  for (std::size_t a = 0; a < commit.layout().arrays.size(); ++a) {
    const ArraySpec& spec = commit.layout().arrays[a].spec;
    auto& digests = blocks.emplace_back();
    for (std::uint64_t at = 0; at < spec.bytes(); at += kBlockBytes) {
      buffer.resize(std::min(kBlockBytes, spec.bytes() - at));
      provider(spec, at, buffer);
      digests.push_back(writer.write(a, at / kBlockBytes, buffer).front());
    }
  }
  writer.finish();
  return commit.publish(blocks);
}

}  // namespace retain::framework
