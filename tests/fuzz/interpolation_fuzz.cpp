// Any text resolves, or is a ComposeError; texts that refer to each other end, too.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include <polyphony/config/interpolate/interpolate.h>
#include <polyphony/config/yaml/errors.h>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace polyphony::config;
  const std::string text(reinterpret_cast<const char*>(data), size);
  // Three values of one mapping: they can reach each other, and a list below.
  Node root = Node::map();
  std::size_t begin = 0;
  for (const char* key : {"a", "b", "c"}) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    root.set(key, Node(text.substr(begin, end - begin)));
    begin = std::min(end + 1, text.size());
  }
  root.set("list", Node::list({Node("x"), Node("${a}"), Node(1)}));
  ResolveContext context;
  context.env = [](const std::string&) -> std::optional<std::string> { return "value"; };
  try {
    resolve(root, context);
  } catch (const ComposeError&) {
  }
  return 0;
}
