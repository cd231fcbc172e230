// SPDX-License-Identifier: Apache-2.0
// LLaVA-format records, as a list and a line each.
#include "framework/data/record_file.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static retain::fuzz::ScratchFile list("records.json"), lines("records.jsonl");
  for (retain::fuzz::ScratchFile* file : {&list, &lines})
    retain::fuzz::expect_error_or_success([&] {
      const retain::framework::RecordFile records(file->write(data, size), "/nonexistent");
      for (std::int64_t i = 0; i < records.size(); ++i)
        retain::fuzz::expect_error_or_success([&] { retain::framework::validate_record(records.at(i), true); });
    });
  return 0;
}
