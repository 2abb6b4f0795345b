// Any text is an override or a ComposeError; a value is written as the override reads it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include <polyphony/config/compose/override.h>
#include <polyphony/config/compose/sweep.h>
#include <polyphony/config/yaml/errors.h>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace polyphony::config;
  const std::string text(reinterpret_cast<const char*>(data), size);
  try {
    const Override parsed = parse_override(text);
    parsed.value_text();
    if (parsed.sweep) sweep_values(parsed, nullptr);
  } catch (const ComposeError&) {
  }
  return 0;
}
