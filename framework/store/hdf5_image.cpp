// SPDX-License-Identifier: Apache-2.0
#include "framework/store/hdf5_image.h"

#include <algorithm>
#include <memory>

#include "framework/store/hdf5_handle.h"

namespace retain::framework {

void SparseImage::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  end_ = std::max(end_, offset + bytes.size());
  while (!bytes.empty()) {
    const std::uint64_t within = offset % kPage;
    const std::size_t count = std::min<std::size_t>(bytes.size(), kPage - within);
    auto& page = pages_.try_emplace(offset / kPage).first->second;  // value-initialised: zeros
    std::copy_n(bytes.begin(), count, page.begin() + static_cast<std::ptrdiff_t>(within));
    bytes = bytes.subspan(count);
    offset += count;
  }
}

void SparseImage::read(std::uint64_t offset, std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    const std::uint64_t within = offset % kPage;
    const std::size_t count = std::min<std::size_t>(bytes.size(), kPage - within);
    const auto found = pages_.find(offset / kPage);
    if (found == pages_.end())
      std::fill_n(bytes.begin(), count, std::byte{0});
    else
      std::copy_n(found->second.begin() + static_cast<std::ptrdiff_t>(within), count, bytes.begin());
    bytes = bytes.subspan(count);
    offset += count;
  }
}

namespace {

/// HDF5's idea of an open file; the public part must come first.
struct ImageFile {
  H5FD_t base;
  SparseImage* image;
  haddr_t allocated;  // end of the address space HDF5 has handed out
};

ImageFile& of(H5FD_t* file) {
  return *reinterpret_cast<ImageFile*>(file);
}
const ImageFile& of(const H5FD_t* file) {
  return *reinterpret_cast<const ImageFile*>(file);
}

H5FD_t* open_image(const char*, unsigned, hid_t access, haddr_t) {
  const void* info = H5Pget_driver_info(access);
  if (!info) return nullptr;
  auto file = std::make_unique<ImageFile>();
  file->image = *static_cast<SparseImage* const*>(info);
  file->allocated = 0;
  return reinterpret_cast<H5FD_t*>(file.release());
}

herr_t close_image(H5FD_t* file) {
  delete reinterpret_cast<ImageFile*>(file);
  return 0;
}

herr_t read_image(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, std::size_t size, void* buffer) {
  of(file).image->read(address, {static_cast<std::byte*>(buffer), size});
  return 0;
}

herr_t write_image(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, std::size_t size, const void* buffer) {
  of(file).image->write(address, {static_cast<const std::byte*>(buffer), size});
  return 0;
}

herr_t truncate_image(H5FD_t* file, hid_t, hbool_t) {
  of(file).image->set_end(of(file).allocated);
  return 0;
}

herr_t query_image(const H5FD_t*, unsigned long* flags) {
  if (flags)
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_AGGREGATE_SMALLDATA |
             H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
  return 0;
}

/// Later releases of HDF5 put a version and a registered number into the class; Debian 12's has neither.
void set_version(auto& driver) {
  if constexpr (requires {
                  driver.version;
                  driver.value;
                }) {
    driver.version = 1;
    driver.value = 300;  // outside the numbers the HDF5 Group has given away
  }
}

hid_t register_driver() {
  H5FD_class_t driver{};
  set_version(driver);
  driver.name = "retain_image";
  driver.maxaddr = (haddr_t{1} << 62) - 1;
  driver.fc_degree = H5F_CLOSE_STRONG;
  driver.fapl_size = sizeof(SparseImage*);
  driver.open = open_image;
  driver.close = close_image;
  driver.query = query_image;
  driver.get_eoa = [](const H5FD_t* file, H5FD_mem_t) { return of(file).allocated; };
  driver.set_eoa = [](H5FD_t* file, H5FD_mem_t, haddr_t address) -> herr_t {
    of(file).allocated = address;
    return 0;
  };
  driver.get_eof = [](const H5FD_t* file, H5FD_mem_t) -> haddr_t { return of(file).image->end(); };
  driver.read = read_image;
  driver.write = write_image;
  driver.truncate = truncate_image;
  for (auto& type : driver.fl_map) type = H5FD_MEM_SUPER;  // one free list for all kinds of data
  return H5FDregister(&driver);
}

}  // namespace

void use_image(hid_t access, SparseImage& image) {
  static const hid_t driver = hdf5_check(register_driver(), "register the in-memory file driver");
  SparseImage* const pointer = &image;
  hdf5_check(H5Pset_driver(access, driver, &pointer), "set the in-memory file driver");
}

}  // namespace retain::framework
