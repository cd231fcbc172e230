// SPDX-License-Identifier: Apache-2.0
#include "parallel/agreement.h"

#include <ATen/ATen.h>

#include "framework/base/error.h"
#include "framework/base/json.h"

namespace retain::parallel {
namespace {

using framework::Error;
using framework::ErrorKind;
using framework::ErrorParts;

std::string to_text(ErrorKind kind, const ErrorParts& parts) {
  return framework::json::serialize(
      framework::json::array{static_cast<std::int64_t>(kind), parts.what, parts.expected, parts.found, parts.remedy});
}

/// What `action` threw, as text; empty when it ended well.
std::string failure_of(const std::function<void()>& action) {
  try {
    if (action) action();
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::communication) throw;
    return to_text(error.kind(), error.parts());
  } catch (const std::bad_alloc&) {
    return to_text(ErrorKind::internal, {"out of memory", {}, {}, "use more ranks or a smaller micro-batch"});
  } catch (const std::exception& error) {
    return to_text(ErrorKind::internal, {error.what(), {}, {}, {}});
  }
  return {};
}

[[noreturn]] void throw_from(const std::string& text, int world_rank, int size) {
  const framework::json::value value = framework::parse_json(text, "a failure report", ErrorKind::internal);
  const auto part = [&](std::size_t i) { return std::string(value.at(i).as_string()); };
  const std::string where = size > 1 ? "rank " + std::to_string(world_rank) + ": " : "";
  throw Error(static_cast<ErrorKind>(value.at(0).as_int64()), {where + part(1), part(2), part(3), part(4)});
}

}  // namespace

void agree(Communicator& group, const std::function<void()>& action) {
  const std::vector<std::string> failures = group.gather_text(failure_of(action));
  for (std::size_t rank = 0; rank < failures.size(); ++rank)
    if (!failures[rank].empty()) throw_from(failures[rank], group.world_rank(static_cast<int>(rank)), group.size());
}

std::string from_first(Communicator& group, const std::function<std::string()>& action) {
  std::string result;
  std::string message;
  if (group.rank() == 0) {
    const std::string failure = failure_of([&] { result = action(); });
    message = failure.empty() ? "+" + result : "-" + failure;
  }
  message = group.broadcast_text(std::move(message), 0);
  if (message.at(0) == '-') throw_from(message.substr(1), group.world_rank(0), group.size());
  return message.substr(1);
}

bool anyone(Communicator& group, bool yes) {
  at::Tensor said = at::full({1}, yes ? 1 : 0, at::kInt);
  group.all_reduce(said, ReduceOp::max);
  return said.item<int>() != 0;
}

}  // namespace retain::parallel
