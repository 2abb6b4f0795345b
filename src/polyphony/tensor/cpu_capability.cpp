#include <polyphony/tensor/cpu_capability.h>

#include <string_view>

#include <ATen/Version.h>

namespace polyphony::tensor {

std::string cpu_capability() {
  constexpr std::string_view kLabel = "CPU capability usage: ";
  const std::string config = at::show_config();
  const std::size_t label = config.find(kLabel);
  if (label == std::string::npos) return "unknown";
  const std::size_t begin = label + kLabel.size();
  return config.substr(begin, config.find('\n', begin) - begin);
}

}  // namespace polyphony::tensor
