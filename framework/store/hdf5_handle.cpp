// SPDX-License-Identifier: Apache-2.0
#include "framework/store/hdf5_handle.h"

#include "framework/base/error.h"

namespace retain::framework {
namespace {

herr_t keep_first(unsigned depth, const H5E_error2_t* error, void* target) {
  if (depth == 0 && error->desc) *static_cast<std::string*>(target) = error->desc;
  return 0;
}

}  // namespace

std::unique_lock<std::mutex> hdf5_lock() {
  static std::mutex mutex;  // as process-wide as the library it guards
  std::unique_lock lock(mutex);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  return lock;
}

hid_t hdf5_check(hid_t code, const std::string& action) {
  if (code >= 0) return code;
  std::string message;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, &message);
  throw Error(ErrorKind::internal, {"HDF5 could not " + action, {}, message, {}});
}

}  // namespace retain::framework
