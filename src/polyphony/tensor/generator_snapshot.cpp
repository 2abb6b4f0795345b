#include <polyphony/tensor/generator_snapshot.h>

#include <mutex>

#include <ATen/CPUGeneratorImpl.h>

namespace polyphony::tensor {

struct GeneratorSnapshot::Kept {
  at::mt19937 engine;
  c10::optional<float> next_float;
  c10::optional<double> next_double;
};

GeneratorSnapshot::GeneratorSnapshot() : kept_(std::make_unique<Kept>()) {}

GeneratorSnapshot::~GeneratorSnapshot() = default;

void GeneratorSnapshot::take() {
  const at::Generator& generator = at::detail::getDefaultCPUGenerator();
  auto* source = at::check_generator<at::CPUGeneratorImpl>(generator);
  const std::lock_guard<std::mutex> lock(source->mutex_);
  kept_->engine = source->engine();
  kept_->next_float = source->next_float_normal_sample();
  kept_->next_double = source->next_double_normal_sample();
}

at::Tensor GeneratorSnapshot::state() const {
  const at::Generator copy = at::make_generator<at::CPUGeneratorImpl>();
  auto* target = at::check_generator<at::CPUGeneratorImpl>(copy);
  target->set_engine(kept_->engine);
  target->set_next_float_normal_sample(kept_->next_float);
  target->set_next_double_normal_sample(kept_->next_double);
  return copy.get_state();
}

}  // namespace polyphony::tensor
