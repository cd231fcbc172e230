// SPDX-License-Identifier: Apache-2.0
// `retain tokenize --model DIR`: {"text"} lines in, {"ids","text"} lines out. With --records, the exact token stream
// and supervised mask of each record of a data file instead; with --dump, one token a line for people.
#include <algorithm>
#include <filesystem>
#include <iomanip>
#include <iostream>

#include "framework/base/json.h"
#include "framework/data/record_set.h"
#include "framework/text/chat.h"
#include "framework/text/tokenizer.h"
#include "launch/command/commands.h"
#include "models/lmm/family.h"

namespace retain::launch {
namespace {

using framework::Error;
using framework::ErrorKind;
namespace json = framework::json;

struct Options {
  std::string model;
  std::string records;
  std::string images;
  std::string mode = "clean";
  std::string chat;  ///< empty: the model's own
  bool dump = false;
};

/// The template asked for, the one of the model whose configuration lies beside the tokenizer, or LLaVA-OneVision's.
std::string chat_name(const Options& options, const framework::Tokenizer& tokenizer) {
  if (!options.chat.empty()) return options.chat;
  if (!std::filesystem::exists(std::filesystem::path(options.model) / "config.json")) return "qwen_1_5";
  const models::LmmConfig config = models::read_config(options.model);
  return std::string(models::family_of(config).chat_template(config, tokenizer));
}

/// Position, id, whether the token is supervised, and the token as JSON text.
void dump(const framework::Record& record, const framework::EncodedChat& chat, const framework::Tokenizer& tokenizer) {
  const auto supervised = [&](std::size_t i) { return chat.labels[i] != framework::kIgnoredLabel; };
  std::size_t count = 0;
  for (std::size_t i = 0; i < chat.labels.size(); ++i) count += supervised(i);
  std::cout << record.where() << ": " << chat.input_ids.size() << " tokens, " << count << " supervised (*)\n";
  for (std::size_t i = 0; i < chat.input_ids.size(); ++i)
    std::cout << std::setw(6) << i << std::setw(8) << chat.input_ids[i] << (supervised(i) ? " * " : "   ")
              << json::serialize(json::string(tokenizer.decode(std::span(&chat.input_ids[i], 1), false))) << '\n';
}

int tokenize_lines(const framework::Tokenizer& tokenizer) {
  std::int64_t number = 0;
  for (std::string line; std::getline(std::cin, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string origin = "standard input, line " + std::to_string(number);
    const json::value value = framework::parse_json(line, origin, ErrorKind::data_invalid);
    const json::object* object = value.if_object();
    const json::value* text = object ? object->if_contains("text") : nullptr;
    if (!text || !text->is_string())
      throw Error(ErrorKind::data_invalid, {origin + " has no text", "an object with \"text\": a string",
                                            line.substr(0, 200), "correct the line"});
    const auto ids = tokenizer.encode(text->get_string());
    std::cout << json::serialize(json::object{{"ids", json::value_from(ids)}, {"text", tokenizer.decode(ids, false)}})
              << '\n';
  }
  return 0;
}

int tokenize_records(framework::Tokenizer& tokenizer, const Options& options) {
  const auto chat = framework::ChatTemplate::named(chat_name(options, tokenizer));
  if (options.dump && chat.format().image == framework::kImageToken) tokenizer.add_special(framework::kImageToken);
  if (options.dump && chat.format().video == framework::kVideoToken) tokenizer.add_special(framework::kVideoToken);
  const auto mode = framework::label_mode_from_name(options.mode);
  const auto records = framework::RecordSet::load(options.records, {.images = options.images});
  for (std::int64_t i = 0; i < records.size(); ++i) {
    const auto record = records.at(i);
    framework::validate_record(record, true);
    const auto encoded = chat.encode(tokenizer, record.turns, mode);
    if (options.dump) {
      dump(record, encoded, tokenizer);
      continue;
    }
    json::array tokens;
    for (const auto id : encoded.input_ids) tokens.emplace_back(tokenizer.token_of(id));
    std::cout << json::serialize(json::object{{"id", record.id},
                                              {"prompt", encoded.prompt},
                                              {"tokens", tokens},
                                              {"input_ids", json::value_from(encoded.input_ids)},
                                              {"labels", json::value_from(encoded.labels)}})
              << '\n';
  }
  return 0;
}

int tokenize(const Options& options) {
  auto tokenizer = framework::Tokenizer::load(options.model);
  return options.records.empty() ? tokenize_lines(tokenizer) : tokenize_records(tokenizer, options);
}

}  // namespace

void add_tokenize(CLI::App& app, Action& action) {
  CLI::App* command =
      app.add_subcommand("tokenize", "Token ids of text: {\"text\"} lines in, {\"ids\",\"text\"} lines out");
  auto options = std::make_shared<Options>();
  command->add_option("--model", options->model, "Folder of a model or of a tokenizer")->required();
  command->add_option("--records", options->records, "Show the tokens and labels of a data file's records instead");
  command->add_option("--images", options->images, "Root of the records' image paths")->needs("--records");
  command->add_option("--mode", options->mode, "Label mask: clean or faithful")->needs("--records");
  command
      ->add_option("--chat", options->chat,
                   "Chat template: qwen_1_5, llama_3, vicuna, mistral or qwen2_5_vl (default: the model's)")
      ->needs("--records");
  command->add_flag("--dump", options->dump, "One token a line: position, id, * where it is supervised, text")
      ->needs("--records");
  command->callback([&action, options] {
    action = [options](const Session& session) { return session.is_root() ? tokenize(*options) : 0; };
  });
}

}  // namespace retain::launch
