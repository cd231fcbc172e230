// SPDX-License-Identifier: Apache-2.0
#include "recipes/records/loaded_records.h"

#include <utility>

#include "recipes/records/record_lengths.h"

namespace retain::recipes {

DataIdentity identity_of(const framework::RecordSet& records, PictureDigests& pictures) {
  return {records.digest(), pictures.of(records)};
}

LoadedRecords look_at(framework::RecordSet records, const ModelKit& kit, const Experiment& experiment, PictureDigests& pictures) {
  LoadedRecords loaded{std::make_unique<framework::RecordSet>(std::move(records)), nullptr, {}};
  loaded.identity = identity_of(*loaded.records, pictures);
  const auto lengths = lengths_file(experiment.store, kit.directory(), label_mode(experiment), loaded.identity.records,
                                    loaded.identity.pictures);
  loaded.samples = std::make_unique<RecordSamples>(*loaded.records, kit.builder(), lengths);
  return loaded;
}

}  // namespace retain::recipes
