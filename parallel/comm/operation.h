// SPDX-License-Identifier: Apache-2.0
// An operation under way, advanced without blocking.
#pragma once
#include <string>
#include <vector>

#include "parallel/comm/descriptor.h"

namespace retain::parallel {

class Operation {
 public:
  explicit Operation(Descriptor descriptor) : descriptor_(descriptor) {}
  virtual ~Operation() = default;
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  /// Does what can be done without waiting; returns whether anything was done. Throws Error(communication) when a peer
  /// called something else or MPI fails.
  virtual bool advance() = 0;
  bool finished() const noexcept { return finished_; }
  /// Members that this rank waits for.
  virtual std::vector<int> missing() = 0;
  const Descriptor& descriptor() const noexcept { return descriptor_; }

 protected:
  void finish() noexcept { finished_ = true; }
  Descriptor& mutable_descriptor() noexcept { return descriptor_; }

 private:
  Descriptor descriptor_;
  bool finished_ = false;
};

}  // namespace retain::parallel
