// A model of one's own: the mean of the log-mel frames, one hidden layer, logits.

#include <string>
#include <vector>

#include <fmt/format.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

#include <polyphony/base/error.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/data/dataset.h>
#include <polyphony/models/model.h>

namespace examples {
namespace {

struct MeanPoolOptions {
  int mels = 80;       // width of a log-mel frame
  int hidden = 64;     // width of the hidden layer
  int num_labels = 0;  // number of classes

  void describe(polyphony::config::Fields& f) {
    f("mels", mels, "width of a log-mel frame");
    f.check("mels", mels >= 1, "at least 1");
    f("hidden", hidden, "width of the hidden layer");
    f.check("hidden", hidden >= 1, "at least 1");
    f.required("num_labels", num_labels, "number of classes");
    f.check("num_labels", num_labels >= 2, "at least 2");
  }
};

/// "log_mel" float [batch, frames, mels] and "log_mel_length" int64 [batch] to logits
/// [batch, num_labels].
class MeanPoolModel : public polyphony::models::Model {
 public:
  using Options = MeanPoolOptions;

  explicit MeanPoolModel(Options options)
      : hidden_(register_module("hidden", torch::nn::Linear(options.mels, options.hidden))),
        output_(register_module("output", torch::nn::Linear(options.hidden, options.num_labels))) {}

  /// @throws DataError where the batch lacks "log_mel" or its frames are of another width
  at::Tensor forward(const polyphony::data::Batch& batch) override {
    const at::Tensor& frames = polyphony::models::input(batch, "log_mel");
    if (frames.size(2) != hidden_->options.in_features()) {
      throw polyphony::DataError(fmt::format("log_mel has {} mels a frame, the model expects {}",
                                             frames.size(2), hidden_->options.in_features()),
                                 "set task.model.mels to the dataset's log_mel.mels");
    }
    // Padding is zero, so the sum over all frames is the sum over the real ones.
    const at::Tensor& lengths = polyphony::models::input(batch, "log_mel_length");
    const at::Tensor mean = frames.sum(1) / lengths.clamp_min(1).unsqueeze(1);
    return output_(torch::relu(hidden_(mean)));
  }

  std::vector<std::string> inputs() const override { return {"log_mel"}; }

 private:
  torch::nn::Linear hidden_;
  torch::nn::Linear output_;
};

}  // namespace

POLYPHONY_REGISTER(polyphony::models::Model, MeanPoolModel, "examples.MeanPoolModel",
                   "mean of the log-mel frames, one hidden layer")

}  // namespace examples
