// SPDX-License-Identifier: Apache-2.0
// The TOML reader on which experiments, tasks and benchmarks stand.
#include "framework/config/toml.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return retain::fuzz::expect_error_or_success([&] {
    const auto file = retain::framework::ConfigFile::parse(retain::fuzz::text_of(data, size), "input.toml", {"train.clip=1.0"});
    const auto root = file.root();
    for (const auto& table : root.tables("task")) table.text("name", "");
    root.table("train").number("clip", 1.0, 0, 10);
    root.reject_unknown();
  });
}
