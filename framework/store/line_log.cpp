// SPDX-License-Identifier: Apache-2.0
#include "framework/store/line_log.h"

#include <fcntl.h>

#include "framework/base/json.h"
#include "framework/store/digest.h"

namespace retain::framework {
namespace {

constexpr std::size_t kDigestDigits = 32;

std::string digest_text(std::string_view text) { return to_hex(digest_of(text)); }

/// A last line that the loss of power left with a hole: the file had grown, some of its sectors had not come and read as zeros. A
/// flipped bit looks different: it makes one zero at most, and never of the hexadecimal digit a line begins with.
bool has_hole(std::string_view line) {
  return line.starts_with('\0') || line.find(std::string_view("\0\0", 2)) != std::string_view::npos;
}

/// Where the log's lines end. What follows is what a stop has torn off.
std::size_t whole_lines(std::string_view text) {
  const std::size_t whole = text.rfind('\n') + 1;  // of none: 0
  if (whole == 0) return 0;
  const std::size_t last = whole < 2 ? 0 : text.rfind('\n', whole - 2) + 1;
  return has_hole(text.substr(last, whole - last)) ? last : whole;
}

}  // namespace

std::vector<std::string> read_line_log(const std::filesystem::path& file, std::size_t* damaged) {
  std::vector<std::string> texts;
  if (damaged) *damaged = 0;
  if (!std::filesystem::exists(file)) return texts;
  std::string content = read_file(file);
  content.resize(whole_lines(content));
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

void append_to_line_log(const Store& store, const std::filesystem::path& file, const std::string& text) {
  const bool fresh = !std::filesystem::exists(file);
  File log(store.operations(), file, O_RDWR | O_CREAT);
  std::string content(log.bytes(), '\0');
  log.read(std::as_writable_bytes(std::span(content)), 0);
  const std::uint64_t whole = whole_lines(content);
  if (whole < content.size()) log.resize(whole);
  log.write(as_bytes(digest_text(text) + " " + text + "\n"), whole);
  log.sync();
  log.close();
  if (fresh) store.operations().sync_directory(file.parent_path());
}

void sync_line_log(const Store& store, const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return;
  File log(store.operations(), file, O_RDWR);
  log.sync();
  log.close();
}

}  // namespace retain::framework
