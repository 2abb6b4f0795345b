#include <polyphony/train/last_step.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/tensor/archive.h>
#include <polyphony/tensor/gradients.h>
#include <polyphony/tensor/plain.h>
#include <polyphony/train/checkpoint.h>
#include <polyphony/train/trainer.h>

namespace polyphony::train {
namespace fs = std::filesystem;
using tensor::Value;

namespace {

/// Larger buffers are copied where their version says that they were written to. Batch
/// normalisation's, which LibTorch writes to without saying so, are never as large.
constexpr std::int64_t kSmall = 4096;

void copy(const at::Tensor& from, const at::Tensor& to) {
  if (from.is_contiguous() && to.is_contiguous() && from.is_cpu()) {
    std::memcpy(to.data_ptr(), from.data_ptr(), from.nbytes());
  } else {
    to.copy_(from);
  }
}

}  // namespace

LastStep::LastStep(Trainer& trainer)
    : trainer_(trainer),
      first_step_(trainer.global_step()),
      callbacks_(trainer.callbacks().size()) {
  list_buffers();
}

void LastStep::list_buffers() {
  const NamedTensors parameters = trainer_.task().parameters();
  const auto moved = [&](const at::Tensor& tensor) {
    return std::any_of(parameters.begin(), parameters.end(),
                       [&](const auto& parameter) { return parameter.second.is_alias_of(tensor); });
  };
  for (const auto& [name, live] : trainer_.task().state()) {
    if (live.numel() > 0 && !moved(live)) buffers_.push_back({live, {}, 0});
  }
}

void LastStep::take_buffers() {
  const tensor::NoGrad no_grad;
  for (Buffer& buffer : buffers_) {
    const auto version = static_cast<std::uint32_t>(buffer.live._version());
    if (!buffer.kept.defined()) {
      buffer.kept = buffer.live.detach().clone();
    } else if (buffer.live.numel() <= kSmall || version != buffer.version) {
      copy(buffer.live, buffer.kept);
    }
    buffer.version = version;
  }
}

void LastStep::take_callbacks() {
  for (std::size_t i = 0; i < callbacks_.size(); ++i) {
    const Callback& callback = *trainer_.callbacks()[i];
    CallbackState& kept = callbacks_[i];
    const auto revision = callback.state_revision();
    if (kept.taken && revision && revision == kept.revision) continue;
    if (callback.state_key().empty()) {
      kept.revision = 0;
    } else {
      kept.state = tensor::copy_of(callback.state_dict());
      kept.revision = revision;
    }
    kept.taken = true;
  }
}

void LastStep::take() {
  taken_ = false;
  rng_.take();
  trainer_.metric_log().keep(log_);
  metrics_ = trainer_.task().metric_snapshot();
  take_buffers();
  take_callbacks();
  loss_ = trainer_.newest_loss();
  should_stop_ = trainer_.should_stop();
  schedule_.reset();
  progress_ = trainer_.progress();
  taken_ = true;
}

void LastStep::schedule_moved() {
  progress_.point = Point::kBatchEnd;
  progress_.scheduler_steps = trainer_.progress().scheduler_steps;
}

void LastStep::keep_schedule() {
  if (schedule_ || !taken_ || trainer_.schedule() == nullptr) return;
  rates_.clear();
  for (const optim::ParamGroup& group : trainer_.optimizer().groups()) rates_.push_back(group.lr);
  schedule_ = trainer_.schedule()->state_dict();
}

void LastStep::rewind() {
  const tensor::NoGrad no_grad;
  for (const Buffer& buffer : buffers_) copy(buffer.kept, buffer.live);
  if (!schedule_) return;
  std::size_t g = 0;
  for (optim::ParamGroup& group : trainer_.optimizer().groups()) group.lr = rates_[g++];
}

Value LastStep::own_state() const {
  Value state = Value::dict();
  state.set("rng", Value(rng_.state()));
  state.set("metrics", metrics_());
  state.set("log", trainer_.metric_log().state_of(log_));
  state.set("gradients", Value::dict());  // the next step begins with none
  return state;
}

fs::path LastStep::write(const Value& checkpoint) const {
  const fs::path elsewhere = trainer_.root() / "checkpoints";
  fs::path path = free_checkpoint(trainer_.checkpoint_directory(), "exception");
  try {
    tensor::save_archive(path, checkpoint);
  } catch (const IoError& error) {
    if (trainer_.checkpoint_directory() == elsewhere) throw;
    fmt::print(stderr, "warning: {}\n", error.what());
    path = free_checkpoint(elsewhere, "exception");
    tensor::save_archive(path, checkpoint);
  }
  return path;
}

void LastStep::save() {
  const fs::path& from = trainer_.resumed_from();
  if (!taken_ && trainer_.global_step() == first_step_) {
    fmt::print(stderr, "nothing is lost: no step was completed{}\n",
               from.empty() ? "" : " since " + from.string());
    return;
  }
  if (!taken_ || progress_.global_step != trainer_.global_step()) {
    fmt::print(stderr,
               "warning: the last step cannot be saved: the error came while it was being noted; "
               "go on from an earlier checkpoint\n");
    return;
  }
  rewind();
  const fs::path path = write(dump_checkpoint(trainer_, Contents::kEverything, this));
  fmt::print(
      stderr,
      "saved: everything up to step {}, the last completed one, in {}\n"
      "  once the cause is mended, go on from there: give the same command with {}={}\n"
      "  (what was mended in the data or the options is refused until resume.allow names it)\n",
      progress_.global_step, path.string(), trainer_.resume_key(), path.string());
  if (trainer_.strategy().world_size() > 1) {
    fmt::print(stderr,
               "  the other processes could not be asked: their random generators and what they "
               "had counted of the running epoch are not in it\n");
  }
  for (const auto& logger : trainer_.loggers()) logger->after_save_checkpoint(path);
}

}  // namespace polyphony::train
