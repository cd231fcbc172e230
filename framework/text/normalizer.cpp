// SPDX-License-Identifier: Apache-2.0
// Unicode normal forms through ICU, skipped where the bytes alone show that nothing changes.
#include "framework/text/normalizer.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>

#include <algorithm>
#include <utility>

#include "framework/base/error.h"

namespace retain::framework {
namespace {

const icu::Normalizer2& instance_of(UnicodeForm form) {
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

/// Whether every character is unchanged by `form`, from the bytes alone: ASCII always, and below U+0300 (lead byte
/// 0xCC) nothing composes.
bool plainly_normal(std::string_view text, UnicodeForm form) {
  const unsigned char limit = form == UnicodeForm::nfc ? 0xCC : 0x80;
  return std::all_of(text.begin(), text.end(), [&](char c) { return static_cast<unsigned char>(c) < limit; });
}

}  // namespace

std::string_view Normalizer::apply(std::string_view text, std::string& buffer) const {
  std::string result;
  for (const UnicodeForm form : forms_) {
    if (plainly_normal(text, form)) continue;
    result.clear();
    icu::StringByteSink<std::string> sink(&result, static_cast<int32_t>(text.size()));
    UErrorCode status = U_ZERO_ERROR;
    instance_of(form).normalizeUTF8(0, icu::StringPiece(text.data(), static_cast<int32_t>(text.size())), sink, nullptr,
                                    status);
    if (U_FAILURE(status))
      throw Error(
          ErrorKind::data_invalid,
          {"text cannot be brought to its Unicode normal form", {}, u_errorName(status), "check the text's encoding"});
    std::swap(buffer, result);
    text = buffer;
  }
  return text;
}

}  // namespace retain::framework
