// SPDX-License-Identifier: Apache-2.0
// Descriptors as text.
#include "parallel/comm/descriptor.h"

namespace retain::parallel {
namespace {

std::string kind_text(const Descriptor& descriptor) {
  static constexpr const char* reduce_names[] = {"(sum)", "(max)", "(min)"};
  const char* reduce = descriptor.reduce < 3 ? reduce_names[descriptor.reduce] : "(?)";
  switch (descriptor.kind) {
    case OperationKind::none:
      return "nothing";
    case OperationKind::all_reduce:
      return std::string("all_reduce") + reduce;
    case OperationKind::all_gather:
      return "all_gather";
    case OperationKind::reduce_scatter:
      return std::string("reduce_scatter") + reduce;
    case OperationKind::broadcast:
      return "broadcast from member " + std::to_string(descriptor.root);
    case OperationKind::barrier:
      return "barrier";
    case OperationKind::send:
      return "send to member " + std::to_string(descriptor.root);
    case OperationKind::receive:
      return "receive from member " + std::to_string(descriptor.root);
  }
  return "?";
}

}  // namespace

std::string to_string(const Descriptor& descriptor) {
  std::string text = kind_text(descriptor);
  if (descriptor.sequence > 0) text += " #" + std::to_string(descriptor.sequence);
  if (descriptor.dtype >= 0) {
    text += " of " + std::to_string(descriptor.elements) + " " +
            std::string(c10::toString(static_cast<c10::ScalarType>(descriptor.dtype)));
  }
  return text;
}

}  // namespace retain::parallel
