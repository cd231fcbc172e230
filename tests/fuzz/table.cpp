// SPDX-License-Identifier: Apache-2.0
// Tables whose rows become records: separated fields with base64 pictures, and plain JSON lines.
#include "framework/data/row_records.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static retain::fuzz::ScratchFile fields("table.tsv"), lines("table.jsonl");
  retain::framework::SourceFields source;
  source.prompt = "{question:capitalize}[[ {answer}]]\n{options}";
  source.options = {"A", "B"};
  for (retain::fuzz::ScratchFile* file : {&fields, &lines})
    retain::fuzz::expect_error_or_success([&] {
      const retain::framework::RowRecords records(file->write(data, size), "/nonexistent", source,
                                                 std::make_shared<retain::framework::PictureCache>(1 << 20));
      for (std::int64_t i = 0; i < records.size(); ++i)
        retain::fuzz::expect_error_or_success([&] {
          for (const retain::framework::Picture& picture : records.at(i).images) retain::framework::read_size(picture);
        });
    });
  return 0;
}
