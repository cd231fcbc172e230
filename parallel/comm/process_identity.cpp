// SPDX-License-Identifier: Apache-2.0
#include "parallel/comm/process_identity.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <string_view>

namespace retain::parallel {
namespace {

/// What /proc/NUMBER/stat tells: its state's letter, and when it started. Only calls that signal handlers may make.
struct Stat {
  char state = '\0';
  std::uint64_t started = 0;
};

Stat stat_of(std::int32_t number) noexcept {
  std::array<char, 32> path{"/proc/"};
  constexpr std::string_view ending = "/stat";
  char* end = std::to_chars(path.data() + 6, path.data() + path.size() - ending.size() - 1, number).ptr;
  ending.copy(end, ending.size());
  const int file = ::open(path.data(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  std::array<char, 1024> text{};
  const ssize_t length = ::read(file, text.data(), text.size());
  ::close(file);
  if (length <= 0) return {};
  std::string_view rest(text.data(), static_cast<std::size_t>(length));
  const std::size_t name_end = rest.rfind(')');  // a name may hold anything
  if (name_end == std::string_view::npos || name_end + 2 >= rest.size()) return {};
  rest.remove_prefix(name_end + 2);
  Stat stat{rest.front(), 0};
  constexpr int kStarted = 22, kState = 3;  // fields, counted from 1
  for (int field = kState; field < kStarted; ++field) {
    const std::size_t space = rest.find(' ');
    if (space == std::string_view::npos) return {};
    rest.remove_prefix(space + 1);
  }
  std::from_chars(rest.data(), rest.data() + rest.size(), stat.started);
  return stat;
}

}  // namespace

ProcessIdentity own_process() noexcept {
  const auto number = static_cast<std::int32_t>(::getpid());
  return {number, stat_of(number).started};
}

bool runs(const ProcessIdentity& process) noexcept {
  const Stat stat = stat_of(process.number);
  return stat.started != 0 && stat.started == process.started && stat.state != 'Z' && stat.state != 'X';
}

}  // namespace retain::parallel
