// SPDX-License-Identifier: Apache-2.0
#include "framework/store/hdf5_skeleton.h"

#include <algorithm>
#include <optional>

#include "framework/store/hdf5_handle.h"
#include "framework/store/hdf5_image.h"

namespace retain::framework {
namespace {

/// A little-endian float of 16 bits: sign at bit 15, then exponent, then mantissa.
Hdf5Handle half_type(std::size_t exponent_bits, std::size_t bias) {
  Hdf5Handle type(H5Tcopy(H5T_IEEE_F32LE), H5Tclose, "copy a float type");
  const std::size_t mantissa_bits = 15 - exponent_bits;
  hdf5_check(H5Tset_fields(type, 15, mantissa_bits, exponent_bits, 0, mantissa_bits), "lay out a 16-bit float");
  hdf5_check(H5Tset_precision(type, 16), "set the precision of a 16-bit float");
  hdf5_check(H5Tset_size(type, 2), "set the size of a 16-bit float");
  hdf5_check(H5Tset_ebias(type, bias), "set the exponent bias of a 16-bit float");
  return type;
}

/// The enumeration that h5py and others read as a boolean.
Hdf5Handle boolean_type() {
  Hdf5Handle type(H5Tenum_create(H5T_STD_I8LE), H5Tclose, "create a boolean type");
  const std::int8_t no = 0;
  const std::int8_t yes = 1;
  hdf5_check(H5Tenum_insert(type, "FALSE", &no), "name a boolean");
  hdf5_check(H5Tenum_insert(type, "TRUE", &yes), "name a boolean");
  return type;
}

Hdf5Handle file_type(DType dtype) {
  const auto copy = [](hid_t type) { return Hdf5Handle(H5Tcopy(type), H5Tclose, "copy a type"); };
  switch (dtype) {
    case DType::float32:
      return copy(H5T_IEEE_F32LE);
    case DType::float64:
      return copy(H5T_IEEE_F64LE);
    case DType::bfloat16:
      return half_type(8, 127);
    case DType::float16:
      return half_type(5, 15);
    case DType::int64:
      return copy(H5T_STD_I64LE);
    case DType::int32:
      return copy(H5T_STD_I32LE);
    case DType::int16:
      return copy(H5T_STD_I16LE);
    case DType::int8:
      return copy(H5T_STD_I8LE);
    case DType::uint8:
      return copy(H5T_STD_U8LE);
    case DType::boolean:
      return boolean_type();
  }
  throw Error(ErrorKind::internal, "an element type outside its enumeration");
}

Hdf5Handle space_of(const std::vector<std::int64_t>& shape) {
  const std::vector<hsize_t> sizes(shape.begin(), shape.end());
  const hid_t id =
      sizes.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr);
  return {id, H5Sclose, "create a dataspace"};
}

Hdf5Handle text_type(std::size_t bytes) {
  Hdf5Handle type(H5Tcopy(H5T_C_S1), H5Tclose, "copy the text type");
  hdf5_check(H5Tset_size(type, std::max<std::size_t>(bytes, 1)), "size a text");
  hdf5_check(H5Tset_cset(type, H5T_CSET_UTF8), "mark a text as UTF-8");
  hdf5_check(H5Tset_strpad(type, H5T_STR_NULLPAD), "pad a text");
  return type;
}

Hdf5Handle create_file(SparseImage& image) {
  const Hdf5Handle creation(H5Pcreate(H5P_FILE_CREATE), H5Pclose, "describe a file");
  hdf5_check(H5Pset_userblock(creation, kHeaderBytes), "reserve the header");
  const Hdf5Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "describe a file's access");
  // Formats since 1.8 carry checksums on all of their structure and hold any number of links.
  hdf5_check(H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST), "choose the format");
  hdf5_check(H5Pset_alignment(access, kPagedBytes, kHeaderBytes), "align datasets");
  use_image(access, image);
  return {H5Fcreate("stage", H5F_ACC_TRUNC, creation, access), H5Fclose, "create a file in memory"};
}

Hdf5Handle contiguous_early() {
  Hdf5Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "describe a dataset");
  hdf5_check(H5Pset_layout(creation, H5D_CONTIGUOUS), "lay out a dataset");
  hdf5_check(H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY), "allocate a dataset");
  hdf5_check(H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER), "leave a dataset unfilled");
  return creation;
}

void create_ordered_group(hid_t file, const char* name) {
  const Hdf5Handle creation(H5Pcreate(H5P_GROUP_CREATE), H5Pclose, "describe a group");
  hdf5_check(H5Pset_link_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED), "order a group");
  Hdf5Handle group(H5Gcreate2(file, name, H5P_DEFAULT, creation, H5P_DEFAULT), H5Gclose, "create a group");
  group.close("close a group");
}

}  // namespace

struct Hdf5Skeleton::State {
  SparseImage image;
  std::optional<Hdf5Handle> file;
  std::vector<std::uint64_t> offsets;
  std::uint64_t manifest_offset = 0;

  ~State() {
    const auto lock = hdf5_lock();
    file.reset();
  }
};

Hdf5Skeleton::Hdf5Skeleton(const std::vector<ArrayEntry>& arrays) : state_(new State) {
  const auto lock = hdf5_lock();
  state_->file.emplace(create_file(state_->image));
  const hid_t file = *state_->file;
  create_ordered_group(file, "tensors");
  const Hdf5Handle links(H5Pcreate(H5P_LINK_CREATE), H5Pclose, "describe a link");
  hdf5_check(H5Pset_create_intermediate_group(links, 1), "create groups on the way");
  const Hdf5Handle creation = contiguous_early();
  for (const ArrayEntry& array : arrays) {
    const std::string& path = array.spec.path;
    if (!array.here()) {
      hdf5_check(H5Lcreate_external((array.holder + ".h5").c_str(), ("/" + path).c_str(), file, path.c_str(), links,
                                    H5P_DEFAULT),
                 "link " + path);
      state_->offsets.push_back(0);
      continue;
    }
    const Hdf5Handle type = file_type(array.spec.dtype);
    const Hdf5Handle space = space_of(array.spec.shape);
    const Hdf5Handle dataset(H5Dcreate2(file, path.c_str(), type, space, links, creation, H5P_DEFAULT), H5Dclose,
                             "create dataset " + path);
    const haddr_t offset = array.spec.bytes() == 0 ? 0 : H5Dget_offset(dataset);
    if (offset == HADDR_UNDEF) throw Error(ErrorKind::internal, "HDF5 gave dataset " + path + " no place");
    state_->offsets.push_back(offset);
  }
  hdf5_check(H5Fflush(file, H5F_SCOPE_GLOBAL), "flush a file in memory");
}

Hdf5Skeleton::~Hdf5Skeleton() = default;

const std::vector<std::uint64_t>& Hdf5Skeleton::offsets() const {
  return state_->offsets;
}

void Hdf5Skeleton::finish(const std::vector<ArrayEntry>& arrays, const std::string& manifest) {
  const auto lock = hdf5_lock();
  const hid_t file = *state_->file;
  const Hdf5Handle scalar(H5Screate(H5S_SCALAR), H5Sclose, "create a dataspace");
  const Hdf5Handle digest_type = text_type(32);
  for (const ArrayEntry& array : arrays) {
    if (!array.here()) continue;
    const Hdf5Handle attribute(H5Acreate_by_name(file, array.spec.path.c_str(), "xxh3_128", digest_type, scalar,
                                                 H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                               H5Aclose, "create the digest of " + array.spec.path);
    hdf5_check(H5Awrite(attribute, digest_type, to_hex(array.digest).c_str()),
               "write the digest of " + array.spec.path);
  }
  const Hdf5Handle type = text_type(manifest.size());
  const Hdf5Handle creation = contiguous_early();
  Hdf5Handle dataset(H5Dcreate2(file, "manifest", type, scalar, H5P_DEFAULT, creation, H5P_DEFAULT), H5Dclose,
                     "create the manifest");
  hdf5_check(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, manifest.data()), "write the manifest");
  state_->manifest_offset = H5Dget_offset(dataset);
  dataset.close("close the manifest");
  state_->file->close("close a file in memory");
}

std::uint64_t Hdf5Skeleton::manifest_offset() const {
  return state_->manifest_offset;
}

std::uint64_t Hdf5Skeleton::file_bytes() const {
  return state_->image.end();
}

void Hdf5Skeleton::read(std::uint64_t offset, std::span<std::byte> bytes) const {
  state_->image.read(offset, bytes);
}

std::vector<ByteRange> skeleton_ranges(const std::vector<ArrayEntry>& arrays, std::uint64_t file_bytes) {
  std::vector<ByteRange> extents;
  for (const ArrayEntry& array : arrays)
    if (array.here() && array.spec.bytes() > 0) extents.push_back({array.offset, array.offset + array.spec.bytes()});
  std::sort(extents.begin(), extents.end(), [](const ByteRange& a, const ByteRange& b) { return a.begin < b.begin; });
  std::vector<ByteRange> ranges;
  std::uint64_t at = std::min(kHeaderBytes, file_bytes);
  for (const ByteRange& extent : extents) {
    if (extent.begin > at) ranges.push_back({at, extent.begin});
    at = std::max(at, extent.end);
  }
  if (at < file_bytes) ranges.push_back({at, file_bytes});
  return ranges;
}

}  // namespace retain::framework
