#include <polyphony/board/json.h>

#include <iterator>

namespace polyphony::board {

void append_array(std::string& out, std::span<const double> values) {
  out += '[';
  auto end = std::back_inserter(out);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ',';
    if (std::isfinite(values[i])) {
      fmt::format_to(end, "{:.9g}", values[i]);
    } else {
      out += "null";
    }
  }
  out += ']';
}

}  // namespace polyphony::board
