// SPDX-License-Identifier: Apache-2.0
#include "models/lmm/image_features.h"

#include "framework/store/digest.h"
#include "models/lmm/family.h"
#include "models/vision/feature_cache.h"

namespace retain::models {

ImageFeatures::ImageFeatures(const LmmConfig& config, const parallel::ParameterSet& parameters,
                             parallel::Communicator& group, FeatureCache* cache)
    : group_(group), cache_(cache), encoder_(family_of(config).make_encoder(config, parameters, group)) {
  for (const parallel::Parameter& parameter : parameters.all())
    if (parameter.spec.name.starts_with("vision.")) tower_weights_.push_back(parameter.value);
}

at::Tensor ImageFeatures::forward(const std::vector<ImageInput>& images) {
  return encoder_->tokens(tower_features(images), images);
}

std::vector<at::Tensor> ImageFeatures::tower_features(const std::vector<ImageInput>& images) {
  const bool trained = std::any_of(tower_weights_.begin(), tower_weights_.end(),
                                   [](const at::Tensor& weight) { return weight.requires_grad(); });
  if (!trained || !at::GradMode::is_enabled()) return frozen_features(images);
  forget_weights();
  return encoder_->tower(images);
}

std::vector<at::Tensor> ImageFeatures::frozen_features(const std::vector<ImageInput>& images) {
  const at::NoGradGuard no_gradients;
  std::vector<at::Tensor> features(images.size());
  const std::vector<std::string> keys = cache_keys(images);
  for (std::size_t i = 0; i < images.size(); ++i)
    if (!keys[i].empty()) features[i] = cache_->find(keys[i]).value_or(at::Tensor());
  if (cache_ != nullptr) keep_common_hits(features);
  for (std::size_t i = 0; i < images.size(); ++i) {
    if (features[i].defined()) {
      features[i] = features[i].to(tower_weights_.front().device());
      continue;
    }
    features[i] = encoder_->tower(std::span(&images[i], 1)).front();
    if (!keys[i].empty()) cache_->insert(keys[i], features[i].cpu());
  }
  return features;
}

std::vector<std::string> ImageFeatures::cache_keys(const std::vector<ImageInput>& images) {
  std::vector<std::string> keys(images.size());
  // A trained tower that is only evaluated here changes between calls: its features are not kept.
  const bool trained = std::any_of(tower_weights_.begin(), tower_weights_.end(),
                                   [](const at::Tensor& weight) { return weight.requires_grad(); });
  if (cache_ == nullptr || trained) return keys;
  if (tower_digest_.empty()) {
    framework::DigestStream local;
    for (const at::Tensor& weight : tower_weights_) {
      const at::Tensor host = weight.detach().cpu().contiguous();
      local.add({static_cast<const std::byte*>(host.const_data_ptr()), host.nbytes()});
    }
    std::string whole;
    for (const std::string& digest : group_.gather_text(to_hex(local.finish()))) whole += digest;
    tower_digest_ = to_hex(framework::digest_of(whole));
  }
  const std::string suffix = "/" + tower_digest_ + "/" + c10::toString(tower_weights_.front().scalar_type());
  for (std::size_t i = 0; i < images.size(); ++i)
    if (!images[i].key.empty()) keys[i] = images[i].key + suffix;
  return keys;
}

void ImageFeatures::keep_common_hits(std::vector<at::Tensor>& found) const {
  if (group_.size() == 1) return;
  // The tower's collectives need every rank: an image counts as found only where all ranks found it.
  at::Tensor hits = at::empty({static_cast<std::int64_t>(found.size())}, at::kInt);
  for (std::size_t i = 0; i < found.size(); ++i) hits[static_cast<std::int64_t>(i)] = found[i].defined() ? 1 : 0;
  group_.all_reduce(hits, parallel::ReduceOp::min);
  for (std::size_t i = 0; i < found.size(); ++i)
    if (hits[static_cast<std::int64_t>(i)].item<int>() == 0) found[i] = at::Tensor();
}

}  // namespace retain::models
