// SPDX-License-Identifier: Apache-2.0
// Stands in for parquet_table.cpp where Retain is built without Apache Arrow.
#include "framework/data/row_table.h"

namespace retain::framework {

bool has_parquet() { return false; }

std::shared_ptr<const RowTable> open_parquet_table(const std::filesystem::path& file, const std::filesystem::path&, const RowColumns&,
                                                   const std::shared_ptr<PictureCache>&) {
  throw Error(ErrorKind::config_unsupported, {file.string() + ": this build of Retain does not read Parquet",
                                              "a build with Apache Arrow", "one without",
                                              "build again with `make build`, which fetches Arrow, or pass "
                                              "-DRETAIN_ARROW=<folder of the pyarrow package>; or convert the file"});
}

}  // namespace retain::framework
