// SPDX-License-Identifier: Apache-2.0
#include "framework/data/row_records.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "framework/text/chat.h"
#include "framework/text/utf8.h"

namespace retain::framework {
namespace {

/// Without `<image>`, each with a line end before it where there is one.
std::string without_placeholders(std::string text) {
  for (std::size_t at = text.find(kImageToken); at != std::string::npos; at = text.find(kImageToken, at)) {
    const bool line = at > 0 && text[at - 1] == '\n';
    text.erase(at - (line ? 1 : 0), kImageToken.size() + (line ? 1 : 0));
    at -= line ? 1 : 0;
  }
  return text;
}

std::vector<std::string> texts_of(const json::value& value) {
  std::vector<std::string> texts;
  if (value.is_array())
    for (const json::value& item : value.get_array()) texts.push_back(text_of(item));
  else if (!value.is_null())
    texts.push_back(text_of(value));
  return texts;
}

/// The earliest of the most frequent.
const std::string& most_common(const std::vector<std::string>& texts) {
  const auto frequency = [&](const std::string& text) { return std::count(texts.begin(), texts.end(), text); };
  return *std::max_element(texts.begin(), texts.end(), [&](const auto& a, const auto& b) { return frequency(a) < frequency(b); });
}

std::string letter(std::size_t option) { return std::string(1, static_cast<char>('A' + option)); }

std::string lines_of(const std::vector<std::string>& options) {
  std::string lines;
  for (std::size_t i = 0; i < options.size(); ++i) lines += (i == 0 ? "" : "\n") + letter(i) + ". " + options[i];
  return lines;
}

/// Every column the fields name, but for those made here.
RowColumns columns_of(const SourceFields& fields, const PromptTemplate& prompt, const PromptTemplate& reply) {
  std::set<std::string> needed;
  for (const PromptTemplate* one : {&prompt, &reply})
    for (const std::string& column : one->columns())
      if (column != "options" && (column != "answer" || fields.answer.empty())) needed.insert(column);
  for (const std::string& column : {fields.id, fields.answer, fields.category})
    if (!column.empty()) needed.insert(column);
  for (const std::string& column : fields.options) needed.insert(column);
  for (const auto& [column, kept] : fields.where) needed.insert(column);
  RowColumns columns{{needed.begin(), needed.end()}, {}, fields.images};
  if (!fields.question.empty() && !needed.contains(fields.question)) columns.optional = {fields.question};
  return columns;
}

}  // namespace

RowRecords::RowRecords(std::filesystem::path file, std::filesystem::path images_root, const SourceFields& fields,
                       const std::shared_ptr<PictureCache>& cache)
    : file_(std::move(file)),
      images_root_(std::move(images_root)),
      fields_(fields),
      prompt_(fields.prompt, "source.prompt"),
      reply_(fields.reply, "source.reply"),
      table_(open_table(file_, images_root_, columns_of(fields, prompt_, reply_), cache)) {
  for (std::int64_t row = 0; row < table_->size(); ++row) {
    bool kept = true;
    if (!fields_.where.empty()) {
      const json::object values = table_->values(row);
      for (const auto& [column, texts] : fields_.where)
        kept = kept && std::find(texts.begin(), texts.end(), text_of(values.at(column))) != texts.end();
    }
    if (kept) rows_.push_back(row);
  }
  if (rows_.empty())
    throw Error(ErrorKind::data_empty,
                {file_.string() + " has no row" + (table_->size() > 0 ? " that `source.where` keeps" : ""),
                 "at least one", "none of " + std::to_string(table_->size()), "name another file, or correct `where`"});
}

void RowRecords::refuse(std::int64_t index, const std::string& what, const std::string& expected, const std::string& found) const {
  throw Error(ErrorKind::data_invalid,
              {where(index) + ": " + what, expected, found.substr(0, 100), "correct the row, or the source's fields"});
}

std::vector<std::string> RowRecords::options_of(const json::object& values) const {
  std::vector<std::string> options;
  for (const std::string& column : fields_.options)
    for (const std::string& text : texts_of(values.at(column)))
      if (fields_.options.size() == 1 || !text.empty()) options.push_back(without_placeholders(text));
  return options;
}

std::string RowRecords::reference_of(const json::value& value, const std::vector<std::string>& options, std::int64_t index) const {
  const std::string text = text_of(value);
  if (fields_.form == AnswerForm::text || fields_.form == AnswerForm::most_common) return text;
  if (options.empty() && fields_.form != AnswerForm::letter)
    refuse(index, "an answer among options, but no options", "the option columns", text);
  if (fields_.form == AnswerForm::index) {
    std::size_t place = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), place);
    if (code != std::errc() || end != text.data() + text.size() || place >= options.size())
      refuse(index, "the answer is no option's number", "0 to " + std::to_string(options.size() - 1), text);
    return letter(place);
  }
  if (fields_.form == AnswerForm::option) {
    const auto found = std::find(options.begin(), options.end(), text);
    if (found == options.end()) refuse(index, "the answer is none of the options", lines_of(options), text);
    return letter(static_cast<std::size_t>(found - options.begin()));
  }
  const bool one = text.size() == 1 && text[0] >= 'A' && text[0] <= 'Z';
  if (!one || (!options.empty() && static_cast<std::size_t>(text[0] - 'A') >= options.size()))
    refuse(index, "the answer is no option's letter", options.empty() ? "A to Z" : "A to " + letter(options.size() - 1), text);
  return text;
}

std::vector<std::string> RowRecords::references_of(const json::object& values, const std::vector<std::string>& options,
                                                   std::int64_t index) const {
  std::vector<std::string> references;
  if (fields_.answer.empty()) return references;
  const json::value& answer = values.at(fields_.answer);
  if (answer.is_array())
    for (const json::value& item : answer.get_array()) references.push_back(reference_of(item, options, index));
  else if (!answer.is_null())
    references.push_back(reference_of(answer, options, index));
  if (references.empty())
    refuse(index, "no answer in column \"" + fields_.answer + "\"", "text, a number, or a list of them",
           json::serialize(answer));
  return references;
}

json::object RowRecords::make(std::int64_t index, const std::vector<Picture>& pictures) const {
  const std::int64_t row = rows_.at(static_cast<std::size_t>(index));
  json::object values = table_->values(row);
  const std::vector<std::string> options = options_of(values);
  std::vector<std::string> references = references_of(values, options, index);
  if (options.size() > 26) refuse(index, "too many options", "at most 26", std::to_string(options.size()));
  json::object record{{"id", fields_.id.empty() ? std::to_string(row) : text_of(values.at(fields_.id))}};
  for (auto& item : values)
    if (item.value().is_string()) item.value() = without_placeholders(std::string(item.value().get_string()));
  if (!fields_.question.empty()) record["question"] = text_of(values.at(fields_.question));
  if (!fields_.category.empty()) record["category"] = text_of(values.at(fields_.category));
  values["options"] = lines_of(options);
  if (!references.empty()) values["answer"] = fields_.form == AnswerForm::most_common ? most_common(references) : references.front();
  const std::string reply = references.empty() && !fields_.answer.empty() ? std::string() : reply_.fill(values);
  if (references.empty() && !reply.empty()) references = {reply};
  std::string prompt;
  json::array images;
  for (const Picture& picture : pictures) {
    prompt += (prompt.empty() ? "" : " ") + std::string(kImageToken);
    images.emplace_back(picture.file() ? picture.file()->lexically_relative(images_root_).string()
                                       : "picture " + std::to_string(images.size()));
  }
  prompt += (prompt.empty() ? "" : "\n") + prompt_.fill(values);
  if (!images.empty()) record["image"] = std::move(images);
  json::array turns{json::object{{"from", "human"}, {"value", prompt}}};
  if (!references.empty()) turns.push_back(json::object{{"from", "gpt"}, {"value", reply}});
  record["conversations"] = std::move(turns);
  if (!references.empty()) record["references"] = json::value_from(references);
  if (!options.empty()) record["options"] = json::value_from(options);
  return record;
}

std::string RowRecords::text(std::int64_t index) const {
  return json::serialize(make(index, table_->pictures(rows_.at(static_cast<std::size_t>(index)))));
}

Record RowRecords::at(std::int64_t index) const {
  const std::vector<Picture> pictures = table_->pictures(rows_.at(static_cast<std::size_t>(index)));
  const json::object object = make(index, pictures);
  if (find_ill_formed_utf8(json::serialize(object))) refuse(index, "not UTF-8", "UTF-8 text", "other bytes");
  Record record = parse_record(object, file_, index, images_root_);
  record.images = pictures;
  return record;
}

std::string RowRecords::where(std::int64_t index) const {
  return file_.string() + ", row " + std::to_string(rows_.at(static_cast<std::size_t>(index)));
}

}  // namespace retain::framework
