// SPDX-License-Identifier: Apache-2.0
#include "recipes/settings/source_settings.h"

#include <algorithm>
#include <utility>

#include "framework/base/error.h"
#include "recipes/settings/experiment.h"

namespace retain::recipes {
namespace {

using framework::AnswerForm;
using framework::SourceFields;

AnswerForm form_from(const framework::ConfigTable& source) {
  const std::vector<std::string> names{"text", "letter", "index", "option", "most_common"};
  const auto found = std::find(names.begin(), names.end(), source.choice("answer_form", names, "text"));
  return static_cast<AnswerForm>(found - names.begin());
}

}  // namespace

std::filesystem::path path_of(const framework::ConfigTable& table, const std::string& key, const std::filesystem::path& folder,
                              std::optional<std::string> otherwise) {
  const std::filesystem::path path = table.text(key, std::move(otherwise));
  if (path.empty() || path.is_absolute() || table.overridden(key)) return path;
  return table.folder_of(key, folder) / path;
}

std::shared_ptr<const SourceFields> read_source(const framework::ConfigTable& entry, Mode mode) {
  if (!entry.has("source")) return nullptr;
  const framework::ConfigTable source = entry.table("source");
  SourceFields fields;
  fields.prompt = source.text("prompt", fields.prompt);
  const std::string faithful = source.text("faithful_prompt", fields.prompt);
  framework::PromptTemplate(fields.prompt, source.where("prompt"));
  framework::PromptTemplate(faithful, source.where("faithful_prompt"));
  if (mode == Mode::faithful) fields.prompt = faithful;
  fields.reply = source.text("reply", fields.reply);
  framework::PromptTemplate(fields.reply, source.where("reply"));
  fields.id = source.text("id", "");
  if (source.has("image")) fields.images = source.texts("image");
  fields.question = source.text("question", fields.question);
  fields.answer = source.text("answer", fields.answer);
  fields.form = form_from(source);
  fields.options = source.texts("options");
  if (fields.form == AnswerForm::index || fields.form == AnswerForm::option)
    if (fields.options.empty())
      throw framework::Error(framework::ErrorKind::config_invalid, {source.where("answer_form"), "`options` beside it",
                                                                    "none", "name the columns of the options"});
  fields.category = source.text("category", "");
  const framework::ConfigTable where = source.table("where");
  for (const std::string& column : where.keys()) fields.where[column] = where.texts(column);
  return std::make_shared<const SourceFields>(fields);
}

framework::RecordSet load_records(const Benchmark& benchmark) {
  return framework::RecordSet::load(benchmark.data, {.images = benchmark.images, .fields = benchmark.source});
}

framework::RecordSet load_records(const Task& task) {
  return framework::RecordSet::load(
      task.train, {.images = task.images, .mixture = task.mixture, .seed = task.settings.seed, .fields = task.source});
}

}  // namespace retain::recipes
