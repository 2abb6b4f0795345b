// Any bytes are a YAML text or a ComposeError; what was read is written and read again unchanged.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <polyphony/config/yaml/dump.h>
#include <polyphony/config/yaml/errors.h>
#include <polyphony/config/yaml/yaml.h>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace polyphony::config;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const Node node = parse_yaml(text, "fuzz");
    to_tagged_json(node);
    to_yaml(node);
  } catch (const ComposeError&) {
  }
  return 0;
}
