// SPDX-License-Identifier: Apache-2.0
// Headers that lie, spoiled files, and writing what was read.
#include "models/weights/safetensors.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <random>
#include <span>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "models/weights/directory_source.h"
#include "models/weights/load.h"
#include "models/weights/safetensors_writer.h"
#include "tests/support/scratch.h"

namespace retain::models {
namespace {

using framework::Error;
using framework::ErrorKind;
using framework::TensorInfo;

const std::filesystem::path kModels = std::filesystem::path(RETAIN_FIXTURES) / "models/llava_onevision";

std::string with_header(const std::string& header, std::size_t data_bytes, std::int64_t claimed = -1) {
  const std::uint64_t length = claimed < 0 ? header.size() : static_cast<std::uint64_t>(claimed);
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + std::string(data_bytes, 'x');
}

SafetensorsHeader parse(const std::string& bytes) {
  return parse_safetensors_header(std::as_bytes(std::span(bytes)), "test.safetensors");
}

struct Lie {
  const char* what;
  std::string bytes;
  ErrorKind kind;
};

TEST(SafetensorsHeader, RefusesEveryLie) {
  const auto invalid = ErrorKind::checkpoint_header_invalid;
  const auto truncated = ErrorKind::checkpoint_truncated;
  const std::vector<Lie> lies{
      {"seven bytes", "1234567", truncated},
      {"no header at all", std::string(8, '\0'), invalid},
      {"a header past the file's end", with_header("{}", 0, 50), truncated},
      {"a header above 100 MB", with_header("{}", 0, 100'000'001), invalid},
      {"a length of all ones", std::string(8, '\xff') + "{}", invalid},
      {"no brace first", with_header(" {}", 0), invalid},
      {"an array", with_header("[]", 0), invalid},
      {"JSON cut off", with_header(R"({"a":{"dtype":"F32")", 0), invalid},
      {"text after the JSON", with_header("{}}", 0), invalid},
      {"no UTF-8", with_header("{\"\xff\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4), invalid},
      {"deep nesting", with_header("{\"a\":" + std::string(100'000, '['), 0), invalid},
      {"an unknown dtype", with_header(R"({"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}})", 4), invalid},
      {"a dtype of no use", with_header(R"({"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}})", 4),
       ErrorKind::config_unsupported},
      {"a dtype that is a number", with_header(R"({"a":{"dtype":32,"shape":[1],"data_offsets":[0,4]}})", 4), invalid},
      {"a negative size", with_header(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4), invalid},
      {"a broken size", with_header(R"({"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})", 4), invalid},
      {"a shape that overflows",
       with_header(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}})", 4), invalid},
      {"a size beyond 63 bits",
       with_header(R"({"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]}})", 4), invalid},
      {"offsets the wrong way round", with_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4),
       invalid},
      {"three offsets", with_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}})", 4), invalid},
      {"offsets that do not fit the shape", with_header(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4),
       invalid},
      {"no shape", with_header(R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", 4), invalid},
      {"a field too many", with_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}})", 4), invalid},
      {"a hole", with_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8), invalid},
      {"an overlap",
       with_header(
           R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})",
           6),
       invalid},
      {"bytes left over", with_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 5), invalid},
      {"data cut off", with_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 3), truncated},
      {"a name twice",
       with_header(
           R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
           4),
       invalid},
      {"a name twice, once escaped",
       with_header(
           R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\u0061":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
           4),
       invalid},
      {"metadata that is no object", with_header(R"({"__metadata__":3})", 0), invalid},
      {"metadata of numbers", with_header(R"({"__metadata__":{"a":3}})", 0), invalid}};
  for (const Lie& lie : lies) {
    SCOPED_TRACE(lie.what);
    try {
      parse(lie.bytes);
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), lie.kind) << error.what();
      EXPECT_THAT(error.what(), testing::HasSubstr("test.safetensors"));
    }
  }
}

TEST(SafetensorsHeader, AcceptsWhatTheFormatAllows) {
  EXPECT_TRUE(parse(with_header("{}", 0)).tensors.empty());
  EXPECT_TRUE(parse(with_header("{}      ", 0)).tensors.empty());
  const SafetensorsHeader header = parse(with_header(
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[2,0,3],"data_offsets":[4,4]},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})",
      4));
  EXPECT_EQ(header.metadata.at("format"), "pt");
  EXPECT_EQ(header.tensors.at("a").shape, std::vector<std::int64_t>{});
  EXPECT_EQ(header.tensors.at("b").shape, (std::vector<std::int64_t>{2, 0, 3}));
}

TEST(SafetensorsHeader, MutatedFilesAreReadOrRefused) {
  std::string original = framework::read_file(std::filesystem::path(RETAIN_FIXTURES) /
                                              "corrupt_checkpoints/ok_checkpoint/model.safetensors");
  std::uint64_t length = 0;
  std::memcpy(&length, original.data(), 8);
  std::mt19937 random(20'26);
  const std::string alphabet = "{}[]\",:0123456789-.eFIBU\\x\xff ";
  int refused = 0;
  for (int trial = 0; trial < 3000; ++trial) {
    std::string mutant = original;
    const int edits = 1 + static_cast<int>(random() % 4);
    for (int edit = 0; edit < edits; ++edit) {
      const std::size_t at = random() % (length + 8);
      switch (random() % 5) {
        case 0:
          mutant[at] = static_cast<char>(random());
          break;
        case 1:
          mutant[at] = alphabet[random() % alphabet.size()];
          break;
        case 2:
          mutant.erase(at, 1 + random() % 20);
          break;
        case 3:
          mutant.insert(at, 1 + random() % 20, alphabet[random() % alphabet.size()]);
          break;
        default:
          mutant.resize(random() % mutant.size());
          mutant.resize(std::max<std::size_t>(mutant.size(), length + 8));
          break;
      }
    }
    try {
      const SafetensorsHeader header = parse(mutant);
      for (const auto& [name, tensor] : header.tensors)
        ASSERT_LE(static_cast<std::size_t>(header.data_offset + tensor.end), mutant.size());
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 2000);
}

TEST(SafetensorsWriter, WritesWhatHuggingFaceWrote) {
  const tests::Scratch scratch;
  const SafetensorsDirectory source(kModels / "hub");
  std::vector<TensorInfo> tensors;
  for (const std::string& name : source.names())
    tensors.push_back({name, source.find(name)->dtype, source.find(name)->shape});
  std::reverse(tensors.begin(), tensors.end());
  SafetensorsWriter writer(scratch / "copy.safetensors", tensors);
  for (const TensorInfo& tensor : tensors) {
    const std::span<const std::byte> bytes = source.bytes(tensor.name);
    const std::size_t half = bytes.size() / 8 * 4;  // two pieces, the second first
    writer.write(tensor.name, static_cast<std::int64_t>(half / 4), bytes.subspan(half));
    writer.write(tensor.name, 0, bytes.first(half));
  }
  EXPECT_FALSE(std::filesystem::exists(scratch / "copy.safetensors"));
  writer.finish();
  EXPECT_TRUE(framework::read_file(scratch / "copy.safetensors") ==
              framework::read_file(kModels / "hub/model.safetensors"));
}

TEST(SafetensorsWriter, LeavesNothingUnfinished) {
  const tests::Scratch scratch;
  {
    SafetensorsWriter writer(scratch / "a.safetensors", {{"a", framework::DType::float32, {2}}});
    EXPECT_THROW(writer.write("b", 0, {}), Error);
    EXPECT_THROW(writer.write("a", 1, std::vector<std::byte>(8)), Error);
    EXPECT_THROW(writer.finish(), Error);
  }
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
}

TEST(SafetensorsDirectory, RefusesAnIndexThatLeadsAway) {
  for (const char* shard : {"../outside.safetensors", "/etc/passwd", "", "sub/dir.safetensors"}) {
    const tests::Scratch scratch;
    std::ofstream(scratch / "model.safetensors.index.json") << R"({"weight_map":{"a":")" << shard << R"("}})";
    try {
      SafetensorsDirectory directory(scratch.path());
      ADD_FAILURE() << shard;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::checkpoint_header_invalid);
    }
  }
}

TEST(SafetensorsDirectory, SlicesAreParts) {
  const DirectorySource source(kModels / "hub", read_config(kModels / "hub"));
  const std::string name = "vision.embeddings.patch_embedding.weight";  // [32,3,7,7]
  const at::Tensor whole = read_tensor(source, name);
  for (std::size_t dimension = 0; dimension < 4; ++dimension)
    for (const parallel::Range range : {parallel::Range{0, 2}, parallel::Range{1, 3}, parallel::Range{2, 2}}) {
      const at::Tensor part = whole.slice(static_cast<std::int64_t>(dimension), range.begin, range.end).contiguous();
      std::vector<std::byte> bytes(part.nbytes());
      const std::int64_t before = source.bytes_read();
      source.read_slice(name, dimension, range.begin, range.end, bytes);
      EXPECT_TRUE(std::ranges::equal(bytes, std::span(static_cast<const std::byte*>(part.const_data_ptr()), bytes.size())));
      EXPECT_EQ(source.bytes_read() - before, static_cast<std::int64_t>(bytes.size()));
    }
  std::vector<std::byte> bytes(33 * 3 * 7 * 7 * 4);
  EXPECT_THROW(source.read_slice(name, 0, 0, 33, bytes), Error);
}

}  // namespace
}  // namespace retain::models
