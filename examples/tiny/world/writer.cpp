// SPDX-License-Identifier: Apache-2.0
// Writing records and pictures.
#include "examples/tiny/world/writer.h"

#include "framework/base/error.h"
#include "framework/base/json.h"

namespace retain::tiny {
namespace {

constexpr std::int64_t kPicturesPerFolder = 1000;

[[noreturn]] void refuse(const std::filesystem::path& file) {
  throw framework::Error(
      framework::ErrorKind::io,
      {"cannot write " + file.string(), "a writable folder with space left", "", "choose another --out folder"});
}

}  // namespace

void write_text(const std::filesystem::path& file, std::string_view text) {
  std::ofstream out(file, std::ios::binary);
  out << text;
  out.close();
  if (!out) refuse(file);
}

RecordWriter::RecordWriter(std::filesystem::path file) : file_(std::move(file)) {
  std::filesystem::create_directories(file_.parent_path());
  lines_.open(file_, std::ios::binary);
  if (!lines_) refuse(file_);
}

void RecordWriter::add(const Picture& picture, const std::vector<Exchange>& exchanges) {
  namespace json = framework::json;
  const std::string name = file_.stem().string();
  const std::filesystem::path folder =
      std::filesystem::path("pictures") / name / std::to_string(count_ / kPicturesPerFolder);
  const std::filesystem::path image = folder / (std::to_string(count_ % kPicturesPerFolder) + ".png");
  if (count_ % kPicturesPerFolder == 0) std::filesystem::create_directories(file_.parent_path() / folder);
  picture.write_png(file_.parent_path() / image);

  json::array turns;
  for (const Exchange& exchange : exchanges) {
    const std::string question = (turns.empty() ? "<image>\n" : "") + exchange.question;
    turns.push_back({{"from", "human"}, {"value", question}});
    turns.push_back({{"from", "gpt"}, {"value", exchange.answer}});
  }
  json::object record{{"id", name + "/" + std::to_string(count_)},
                      {"image", image.generic_string()},
                      {"conversations", std::move(turns)}};
  lines_ << json::serialize(record) << '\n';
  ++count_;
}

void RecordWriter::finish() {
  lines_.close();
  if (!lines_) refuse(file_);
}

}  // namespace retain::tiny
