// SPDX-License-Identifier: Apache-2.0
// From JSON to a Record, and the rules that a usable record keeps.
#include "framework/data/record.h"

#include <utility>

#include "framework/base/error.h"
#include "framework/text/chat.h"

namespace retain::framework {
namespace {

/// Reads the members of one record, naming it in errors.
class Reader {
 public:
  Reader(const json::object& object, Record& record) : object_(object), record_(record) {}

  void read(const std::filesystem::path& images_root) {
    read_id();
    read_images(images_root);
    read_videos(images_root);
    const auto* turns = member("conversations");
    if (turns == nullptr || !turns->is_array())
      invalid("`conversations` is absent or no list", "a list of turns", turns);
    for (const auto& turn : turns->get_array()) read_turn(turn);
  }

 private:
  [[noreturn]] void invalid(std::string what, std::string expected, const json::value* found) const {
    throw Error(ErrorKind::data_invalid, {record_.where() + ": " + std::move(what), std::move(expected),
                                          found == nullptr ? "nothing" : json::serialize(*found).substr(0, 100),
                                          "correct or remove the record"});
  }

  const json::value* member(std::string_view key) const {
    const auto* value = object_.if_contains(key);
    return value == nullptr || value->is_null() ? nullptr : value;
  }

  void read_id() {
    const auto* id = member("id");
    if (id == nullptr) return;
    if (id->is_string()) {
      record_.id = std::string(id->get_string());
    } else if (id->is_number()) {
      record_.id = json::serialize(*id);
    } else {
      invalid("`id` is neither text nor a number", "a string or a number", id);
    }
  }

  void read_images(const std::filesystem::path& root) {
    const auto* image = member("image");
    if (image == nullptr) return;
    if (image->is_array()) {
      for (const auto& name : image->get_array()) add_image(name, root);
    } else {
      add_image(*image, root);
    }
  }

  void add_image(const json::value& name, const std::filesystem::path& root) {
    if (!is_file_name(name)) invalid("`image` is no file name", "a string, or a list of strings", &name);
    record_.image_names.emplace_back(name.get_string());
    record_.images.emplace_back(root / record_.image_names.back());
  }

  static bool is_file_name(const json::value& name) {
    return name.is_string() && !name.get_string().empty() && name.get_string().find('\0') == json::string::npos;
  }

  void read_videos(const std::filesystem::path& root) {
    const auto* video = member("video");
    if (video == nullptr) return;
    const json::array* list = video->if_array();
    if (list == nullptr || list->empty()) refuse_video(*video);
    if (list->front().is_array()) {
      for (const auto& frames : *list) add_video(frames, root);
    } else {
      add_video(*video, root);
    }
    read_rates();
  }

  void add_video(const json::value& frames, const std::filesystem::path& root) {
    const json::array* list = frames.if_array();
    if (list == nullptr || list->empty()) refuse_video(frames);
    FrameList& video = record_.videos.emplace_back();
    for (const auto& name : *list) {
      if (!is_file_name(name)) refuse_video(name);
      video.frames.push_back(root / std::string(name.get_string()));
    }
  }

  [[noreturn]] void refuse_video(const json::value& found) const {
    invalid("`video` is no list of frames", "the picture files of its frames in order, or a list of such lists",
            &found);
  }

  void read_rates() {
    const auto* rates = member("fps");
    if (rates == nullptr) return;
    const json::array* list = rates->if_array();
    if (list != nullptr && list->size() != record_.videos.size())
      invalid("`fps` are not as many as videos", std::to_string(record_.videos.size()) + " numbers, or one", rates);
    for (std::size_t i = 0; i < record_.videos.size(); ++i) {
      const json::value& rate = list != nullptr ? (*list)[i] : *rates;
      const double value = rate.is_number() ? rate.to_number<double>() : 0.0;
      if (!(value >= 1e-3 && value <= 1e4)) invalid("`fps` makes no sense", "frames a second, 0.001 to 10000", &rate);
      record_.videos[i].per_second = value;
    }
  }

  void read_turn(const json::value& turn) {
    const auto* object = turn.if_object();
    const auto* from = object == nullptr ? nullptr : object->if_contains("from");
    const auto* text = object == nullptr ? nullptr : object->if_contains("value");
    if (from == nullptr || !from->is_string() || text == nullptr || !text->is_string())
      invalid("a turn cannot be read", R"({"from": text, "value": text})", &turn);
    const std::string_view role = from->get_string();
    if (role != "human" && role != "gpt")
      throw Error(ErrorKind::data_unknown_role,
                  {record_.where() + ": a turn is from nobody Retain knows", "human or gpt",
                   std::string(role.substr(0, 100)), "correct or remove the record"});
    record_.turns.push_back({role == "gpt" ? Role::assistant : Role::user, std::string(text->get_string())});
  }

  const json::object& object_;
  Record& record_;
};

std::int64_t count_in(std::string_view text, std::string_view token) {
  std::int64_t count = 0;
  for (std::size_t at = text.find(token); at != std::string_view::npos; at = text.find(token, at + 1)) ++count;
  return count;
}

void require_as_many(const Record& record, std::string_view token, const char* things, std::size_t found) {
  std::int64_t placeholders = 0;
  for (const Turn& turn : ChatTemplate::kept(record.turns)) placeholders += count_in(turn.text, token);
  if (placeholders == static_cast<std::int64_t>(found)) return;
  throw Error(ErrorKind::data_image_count,
              {record.where() + ": " + std::string(token) + " and " + things + " differ in number",
               "one " + std::string(token) + " in the turns for each of the " + things,
               std::to_string(placeholders) + " placeholders, " + std::to_string(found) + " " + things,
               "correct or remove the record"});
}

}  // namespace

std::string Record::where() const {
  return file.string() + ", record " + std::to_string(index) + (id.empty() ? "" : " (id " + id + ")");
}

std::vector<Picture> Record::pictures() const {
  std::vector<Picture> all = images;
  for (const FrameList& video : videos) all.insert(all.end(), video.frames.begin(), video.frames.end());
  return all;
}

Record parse_record(const json::value& value, const std::filesystem::path& file, std::int64_t index,
                    const std::filesystem::path& images_root) {
  Record record;
  record.file = file;
  record.index = index;
  const auto* object = value.if_object();
  if (object == nullptr)
    throw Error(ErrorKind::data_invalid, {record.where() + " is not an object", "an object with `conversations`",
                                          json::serialize(value).substr(0, 100), "correct or remove the record"});
  Reader(*object, record).read(images_root);
  return record;
}

void validate_record(const Record& record, bool needs_answer) {
  const auto turns = ChatTemplate::kept(record.turns);
  bool answered = false;
  for (const Turn& turn : turns) answered = answered || turn.role == Role::assistant;
  if (turns.empty() || (needs_answer && !answered))
    throw Error(ErrorKind::data_no_answer,
                {record.where() + " has no answer to learn from", "a turn from human, then one from gpt",
                 std::to_string(record.turns.size()) + " turns", "complete or remove the record"});
  require_as_many(record, kImageToken, "images", record.images.size());
  if (!record.videos.empty()) require_as_many(record, kVideoToken, "videos", record.videos.size());
}

}  // namespace retain::framework
