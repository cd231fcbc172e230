// SPDX-License-Identifier: Apache-2.0
// A stage of a store from a hostile source. The corpus begins with a sound stage of two small arrays.
#include <algorithm>
#include <vector>

#include "framework/store/commit.h"
#include "framework/store/file_ops.h"
#include "framework/store/stage_file.h"
#include "framework/store/store.h"
#include "framework/store/store_lock.h"
#include "fuzz.h"

namespace rf = retain::framework;

extern "C" int LLVMFuzzerInitialize(int* count, char*** words) {
  const std::filesystem::path corpus = (*words)[*count - 1];
  if (!std::filesystem::is_directory(corpus)) return 0;
  const std::filesystem::path folder = retain::fuzz::ScratchFile("store").write(nullptr, 0).parent_path() / "seed";
  const rf::Store store = rf::Store::open_or_create(folder);
  const rf::StoreLock lock(store, "fuzzing");
  rf::StageDraft draft;
  draft.arrays = {{"tensors/a", rf::DType::bfloat16, {3, 5}}, {"files/config.json", rf::DType::uint8, {7}}};
  const std::string id = rf::write_stage(store, lock, std::move(draft), [](const rf::ArraySpec&, std::uint64_t, std::span<std::byte> out) {
    std::fill(out.begin(), out.end(), std::byte{0x3f});
  });
  std::filesystem::copy_file(store.stage_path(id), corpus / "sound", std::filesystem::copy_options::overwrite_existing);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static retain::fuzz::ScratchFile file("stage.h5");
  return retain::fuzz::expect_error_or_success([&] {
    const rf::StageFile stage(rf::FileOperations::system(), file.write(data, size));
    stage.check_skeleton();
    for (const rf::ArrayEntry& array : stage.manifest().arrays) {
      if (!array.here()) continue;
      std::vector<std::byte> some(std::min<std::uint64_t>(64, array.spec.bytes()));
      stage.read(array, 0, some);
    }
  });
}
