// SPDX-License-Identifier: Apache-2.0
// Digests of picture files by their bytes, so that a picture changed under its old name is a change of the data. No time stamp
// is believed: every file is read once a run, the ranks sharing them out.
#pragma once
#include <string>
#include <unordered_map>
#include <vector>

#include "framework/data/record_set.h"
#include "framework/store/digest.h"
#include "parallel/comm/communicator.h"

namespace retain::recipes {

class PictureDigests {
 public:
  /// `world` outlives this.
  explicit PictureDigests(parallel::Communicator& world) : world_(world) {}

  /// Collective over the world, whose ranks all hold the same records. The digest, in hexadecimal, of the digests of all pictures
  /// that the records name, each picture once, in order of first use. A picture that was read for other records is not read again.
  /// One that is absent, no regular file or unreadable counts as "none", and a record that cannot be parsed as without pictures:
  /// framework::check_records() speaks of them.
  std::string of(const framework::RecordSet& records);

 private:
  void read(const std::vector<framework::Picture>& fresh);

  parallel::Communicator& world_;
  std::unordered_map<std::string, framework::Digest> known_;
};

}  // namespace retain::recipes
