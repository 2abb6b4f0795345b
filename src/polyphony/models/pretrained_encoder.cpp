#include <polyphony/models/pretrained_encoder.h>

#include <algorithm>

#include <torch/types.h>

#include <polyphony/base/error.h>
#include <polyphony/models/pretrained_folder.h>

namespace polyphony::models {

PretrainedEncoder::PretrainedEncoder(const std::string& name) : folder_(pretrained_folder(name)) {
  network_ = make_encoder_network(read_pretrained_config(folder_ / "config.json"));
  report_ = load_weights(*network_, "", network_->config(), WeightFiles(folder_), folder_.string(),
                         Mismatch::kRefuse);
  if (!report_.missing.empty()) {
    throw DataError(folder_.string() + ": the checkpoint lacks " + report_.missing.front() +
                        (report_.missing.size() > 1 ? " and more" : ""),
                    "an encoder that is not trained further needs all of its weights");
  }
  network_->eval();
  for (at::Tensor& weight : network_->parameters()) weight.set_requires_grad(false);
}

EncoderOutput PretrainedEncoder::encode(const EncoderInput& input, std::int64_t layer) const {
  const at::NoGradGuard no_grad;
  EncodeOptions options;
  options.last_layer = layer;
  return network_->encode(input, options);
}

std::int64_t PretrainedEncoder::frames(std::int64_t samples) const {
  return nn::conv_frames(network_->config().speech.conv, samples);
}

}  // namespace polyphony::models
