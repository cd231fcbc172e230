// SPDX-License-Identifier: Apache-2.0
// config.json in transformers' and in the original codebase's form.
#include "framework/base/json.h"
#include "fuzz.h"
#include "models/llava_onevision/config.h"
#include "models/lmm/config_fields.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace models = retain::models;
  using Reader = models::LmmConfig (*)(const models::ConfigFields&, const std::filesystem::path&);
  const auto read_with = [&](Reader read) {
    retain::fuzz::expect_error_or_success([&] {
      const auto document = retain::framework::parse_json(retain::fuzz::text_of(data, size), "config.json");
      if (document.is_object()) read(models::ConfigFields(document.get_object(), "config.json", ""), "/nonexistent");
    });
  };
  read_with(models::llava_onevision::read_transformers_config);
  read_with(models::llava_onevision::read_original_config);
  return 0;
}
