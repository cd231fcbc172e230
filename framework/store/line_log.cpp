// SPDX-License-Identifier: Apache-2.0
#include "framework/store/line_log.h"

#include <fcntl.h>

#include "framework/base/json.h"
#include "framework/store/digest.h"

namespace retain::framework {
namespace {

constexpr std::size_t kDigestDigits = 32;

std::string digest_text(std::string_view text) { return to_hex(digest_of(text)); }

}  // namespace

std::vector<std::string> read_line_log(const std::filesystem::path& file, std::size_t* damaged) {
  std::vector<std::string> texts;
  if (damaged) *damaged = 0;
  if (!std::filesystem::exists(file)) return texts;
  const std::string content = read_file(file);
  std::size_t begin = 0;
  for (std::size_t end; (end = content.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string_view line = std::string_view(content).substr(begin, end - begin);
    if (line.size() > kDigestDigits + 1 && line.substr(0, kDigestDigits) == digest_text(line.substr(kDigestDigits + 1)))
      texts.emplace_back(line.substr(kDigestDigits + 1));
    else if (damaged)
      ++*damaged;
  }
  return texts;
}

void append_to_line_log(const Store& store, const std::filesystem::path& file, const std::vector<std::string>& texts) {
  const bool fresh = !std::filesystem::exists(file);
  File log(store.operations(), file, O_RDWR | O_CREAT);
  std::string content(log.bytes(), '\0');
  log.read(std::as_writable_bytes(std::span(content)), 0);
  const std::uint64_t whole = content.rfind('\n') == std::string::npos ? 0 : content.rfind('\n') + 1;
  if (whole < content.size()) log.resize(whole);
  std::string lines;
  for (const std::string& text : texts) lines += digest_text(text) + " " + text + "\n";
  log.write(as_bytes(lines), whole);
  log.sync();
  log.close();
  if (fresh) store.operations().sync_directory(file.parent_path());
}

}  // namespace retain::framework
