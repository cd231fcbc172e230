// SPDX-License-Identifier: Apache-2.0
// Unicode normal forms through ICU are skipped where the bytes alone show that nothing changes.
#include "framework/text/normalizer.h"

#include <unicode/bytestream.h>
#include <unicode/edits.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>
#include <unicode/uniset.h>

#include <algorithm>
#include <array>
#include <utility>

#include "framework/base/error.h"

namespace retain::framework {
namespace {

const icu::Normalizer2& plain_form(UnicodeForm form) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* instance = nullptr;
  switch (form) {
    case UnicodeForm::nfc:
      instance = icu::Normalizer2::getNFCInstance(status);
      break;
    case UnicodeForm::nfd:
      instance = icu::Normalizer2::getNFDInstance(status);
      break;
    case UnicodeForm::nfkc:
      instance = icu::Normalizer2::getNFKCInstance(status);
      break;
    case UnicodeForm::nfkd:
      instance = icu::Normalizer2::getNFKDInstance(status);
      break;
  }
  if (U_FAILURE(status) || instance == nullptr)
    throw Error(ErrorKind::io, {"ICU's Unicode normalisation data cannot be loaded",
                                {},
                                u_errorName(status),
                                "install the ICU data that belongs to this build's libicuuc"});
  return *instance;
}

/// The reference's tables (the unicode-normalization crate that the tokenizers library has) end with Unicode 9: characters
/// that came later have no order among marks there and never change.
icu::UnicodeSet known_characters() {
  UErrorCode status = U_ZERO_ERROR;
  icu::UnicodeSet known(icu::UnicodeString::fromUTF8("[:age=9.0:]"), status);
  if (U_FAILURE(status)) throw Error(ErrorKind::io, "ICU's table of character ages cannot be loaded");
  known.freeze();
  return known;
}

const icu::Normalizer2& instance_of(UnicodeForm form) {
  static const icu::UnicodeSet known = known_characters();
  static const std::array<icu::FilteredNormalizer2, 4> forms{
      icu::FilteredNormalizer2(plain_form(UnicodeForm::nfc), known),
      icu::FilteredNormalizer2(plain_form(UnicodeForm::nfd), known),
      icu::FilteredNormalizer2(plain_form(UnicodeForm::nfkc), known),
      icu::FilteredNormalizer2(plain_form(UnicodeForm::nfkd), known)};
  return forms[static_cast<std::size_t>(form)];
}

/// Whether every character is unchanged by `form`, from the bytes alone: ASCII always, and below U+0300 (lead byte
/// 0xCC) nothing composes.
bool plainly_normal(std::string_view text, UnicodeForm form) {
  const unsigned char limit = form == UnicodeForm::nfc ? 0xCC : 0x80;
  return std::all_of(text.begin(), text.end(), [&](char c) { return static_cast<unsigned char>(c) < limit; });
}

/// The byte of the old text that each byte of the new one comes from; a stretch that changed comes from its first byte.
std::vector<std::uint32_t> sources_of(const icu::Edits& edits) {
  std::vector<std::uint32_t> sources;
  UErrorCode status = U_ZERO_ERROR;
  for (icu::Edits::Iterator edit = edits.getFineIterator(); edit.next(status);)
    for (int32_t i = 0; i < edit.newLength(); ++i)
      sources.push_back(static_cast<std::uint32_t>(edit.sourceIndex() + (edit.hasChange() ? 0 : i)));
  return sources;
}

void normalise(UnicodeForm form, TrackedText& text) {
  if (plainly_normal(text.view(), form)) return;
  const std::string_view old = text.view();
  std::string result;
  icu::Edits edits;
  icu::StringByteSink<std::string> sink(&result, static_cast<int32_t>(old.size()));
  UErrorCode status = U_ZERO_ERROR;
  instance_of(form).normalizeUTF8(0, icu::StringPiece(old.data(), static_cast<int32_t>(old.size())), sink,
                                  text.tracks() ? &edits : nullptr, status);
  if (U_FAILURE(status))
    throw Error(
        ErrorKind::data_invalid,
        {"text cannot be brought to its Unicode normal form", {}, u_errorName(status), "check the text's encoding"});
  text.rewrite(std::move(result), text.tracks() ? sources_of(edits) : std::vector<std::uint32_t>());
}

}  // namespace

void Normalizer::add(UnicodeForm form) {
  steps_.push_back({Kind::form, form, {}, {}});
}

void Normalizer::add_prefix(std::string prefix) {
  steps_.push_back({.kind = Kind::prefix, .from = {}, .to = std::move(prefix)});
}

void Normalizer::add_replacement(std::string from, std::string to) {
  steps_.push_back({.kind = Kind::replacement, .from = std::move(from), .to = std::move(to)});
}

void Normalizer::apply(TrackedText& text) const {
  for (const Step& step : steps_) {
    if (step.kind == Kind::form) normalise(step.form, text);
    if (step.kind == Kind::prefix && !text.view().empty()) text.prepend(step.to);
    if (step.kind == Kind::replacement) text.replace_all(step.from, step.to);
  }
}

}  // namespace retain::framework
