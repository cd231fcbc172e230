// SPDX-License-Identifier: Apache-2.0
// Ownership and error checking for HDF5's C interface. The library is not thread-safe as Debian builds it, so every use
// happens under one lock.
#pragma once
#include <hdf5.h>

#include <mutex>
#include <string>
#include <utility>

namespace retain::framework {

/// The lock around all HDF5 calls of the process; hold it for as long as any handle lives. It also turns off the
/// library's habit of printing its errors.
std::unique_lock<std::mutex> hdf5_lock();

/// Passes a return code through. Throws Error(internal) with `action` and HDF5's innermost message when it is negative.
hid_t hdf5_check(hid_t code, const std::string& action);

/// An HDF5 identifier with the function that closes it.
class Hdf5Handle {
 public:
  using Closer = herr_t (*)(hid_t);
  Hdf5Handle(hid_t id, Closer closer, const std::string& action) : id_(hdf5_check(id, action)), closer_(closer) {}
  ~Hdf5Handle() {
    if (id_ >= 0) closer_(id_);
  }
  Hdf5Handle(Hdf5Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), closer_(other.closer_) {}
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(closer_, other.closer_);
    return *this;
  }
  operator hid_t() const noexcept { return id_; }
  /// Closes now and reports a failure.
  void close(const std::string& action) {
    if (id_ >= 0) hdf5_check(closer_(std::exchange(id_, -1)), action);
  }

 private:
  hid_t id_;
  Closer closer_;
};

}  // namespace retain::framework
