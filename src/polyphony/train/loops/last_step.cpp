#include <polyphony/train/loops/last_step.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include <c10/core/GradMode.h>

#include <polyphony/base/error.h>
#include <polyphony/base/notice.h>
#include <polyphony/tensor/archive.h>
#include <polyphony/tensor/plain.h>
#include <polyphony/train/loops/fit_checkpoint.h>
#include <polyphony/train/loops/trainer_state.h>

namespace polyphony::train {
namespace fs = std::filesystem;
using tensor::Value;

namespace {

/// Larger buffers are copied if their version says that they were written to. Batch
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

LastStep::LastStep(TrainerState& state)
    : state_(state),
      first_step_(state.progress.global_step),
      callbacks_(state.parts.callbacks.size()) {
  list_buffers();
}

void LastStep::list_buffers() {
  const tensor::NamedTensors parameters = state_.task->parameters();
  const auto moved = [&](const at::Tensor& tensor) {
    return std::any_of(parameters.begin(), parameters.end(),
                       [&](const auto& parameter) { return parameter.second.is_alias_of(tensor); });
  };
  for (const auto& [name, live] : state_.task->state()) {
    if (live.numel() > 0 && !moved(live)) buffers_.push_back({live, {}, 0});
  }
}

void LastStep::take_buffers() {
  const at::NoGradGuard no_grad;
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
    const Callback& callback = *state_.parts.callbacks[i];
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
  state_.metrics.keep(log_);
  metrics_ = state_.task->metric_snapshot();
  take_buffers();
  take_callbacks();
  loss_ = state_.newest_loss;
  should_stop_ = state_.should_stop;
  schedule_.reset();
  progress_ = state_.progress;
  taken_ = true;
}

void LastStep::schedule_moved() {
  progress_.point = Point::kBatchEnd;
  progress_.scheduler_steps = state_.progress.scheduler_steps;
}

void LastStep::keep_schedule() {
  if (schedule_ || !taken_ || state_.schedule() == nullptr) return;
  rates_.clear();
  for (const optim::ParamGroup& group : state_.optimizer().groups()) rates_.push_back(group.lr);
  schedule_ = state_.schedule()->state_dict();
}

void LastStep::rewind() {
  const at::NoGradGuard no_grad;
  for (const Buffer& buffer : buffers_) copy(buffer.kept, buffer.live);
  if (!schedule_) return;
  std::size_t g = 0;
  for (optim::ParamGroup& group : state_.optimizer().groups()) group.lr = rates_[g++];
}

Value LastStep::own_state() const {
  Value state = Value::dict();
  state.set("rng", Value(rng_.state()));
  state.set("metrics", metrics_());
  state.set("log", state_.metrics.state_of(log_));
  state.set("gradients", Value::dict());  // the next step begins with none
  return state;
}

fs::path LastStep::write(const Value& checkpoint) const {
  const fs::path elsewhere = state_.root / "checkpoints";
  fs::path path = free_checkpoint(state_.trainer.checkpoint_directory(), "exception");
  try {
    tensor::save_archive(path, checkpoint);
  } catch (const IoError& error) {
    if (state_.trainer.checkpoint_directory() == elsewhere) throw;
    warn("{}", error.what());
    path = free_checkpoint(elsewhere, "exception");
    tensor::save_archive(path, checkpoint);
  }
  return path;
}

void LastStep::save() {
  const fs::path& from = state_.resumed_from;
  if (!taken_ && state_.progress.global_step == first_step_) {
    note("nothing is lost: no step was completed{}", from.empty() ? "" : " since " + from.string());
    return;
  }
  if (!taken_ || progress_.global_step != state_.progress.global_step) {
    warn(
        "the last step cannot be saved: the error came while it was being noted; go on from an "
        "earlier checkpoint");
    return;
  }
  rewind();
  const fs::path path = write(dump_checkpoint(state_, Contents::kEverything, this));
  note(
      "saved: everything up to step {}, the last completed one, in {}\n  once the cause is mended, "
      "go on from there: give the same command with {}={}\n  (what was mended in the data or the "
      "options is refused until resume.allow names it)",
      progress_.global_step, path.string(), state_.parts.resume_key, path.string());
  if (state_.collective().world_size() > 1) {
    note(
        "  the other processes could not be asked: their random generators and what they had "
        "counted of the running epoch are not in it");
  }
  for (const auto& logger : state_.parts.loggers) logger->after_save_checkpoint(path);
}

}  // namespace polyphony::train
