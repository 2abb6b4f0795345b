#include <polyphony/base/terminal/terminal.h>

#include <sys/ioctl.h>
#include <unicode/uchar.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>

#include <polyphony/base/utf8.h>

namespace polyphony {
namespace {

int width_of(char32_t point) {
  const auto c = static_cast<UChar32>(point);
  if (c < 0x20 || c == 0x7f) return 0;
  if (c < 0x300) return 1;
  switch (u_charType(c)) {
    case U_NON_SPACING_MARK:
    case U_ENCLOSING_MARK:
    case U_FORMAT_CHAR:
    case U_CONTROL_CHAR:
      return 0;
    default:
      break;
  }
  const int kind = u_getIntPropertyValue(c, UCHAR_EAST_ASIAN_WIDTH);
  return kind == U_EA_FULLWIDTH || kind == U_EA_WIDE ? 2 : 1;
}

/// Where what is written to descriptors 0, 1 and 2 ends up.
std::array<std::atomic<int>, 3> passed_on = {0, 1, 2};

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// As setlocale would choose: the first of the three that is set counts.
bool locale_is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string value = variable(name);
    if (value.empty()) continue;
    return value.find("UTF-8") != std::string::npos || value.find("utf8") != std::string::npos;
  }
  return false;
}

}  // namespace

void describe_terminal_of(int descriptor, int other) {
  passed_on.at(static_cast<std::size_t>(descriptor)) = other;
}

TerminalInfo terminal_info(int descriptor) {
  if (descriptor >= 0 && descriptor < static_cast<int>(passed_on.size())) {
    descriptor = passed_on.at(static_cast<std::size_t>(descriptor));
  }
  TerminalInfo info;
  info.tty = isatty(descriptor) == 1;
  winsize size{};
  if (info.tty && ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    info.width = size.ws_col;
  }
  const std::string term = variable("TERM");
  info.cursor = info.tty && !term.empty() && term != "dumb";
  info.colours = info.cursor && variable("NO_COLOR").empty();
  info.unicode = locale_is_utf8();
  return info;
}

int display_width(std::string_view text) {
  int width = 0;
  while (!text.empty()) {
    const DecodedPoint point = decode_point(text);
    width += width_of(point.value);
    text.remove_prefix(point.size);
  }
  return width;
}

std::string clip(std::string_view text, int columns) {
  int width = 0;
  for (std::size_t at = 0; at < text.size();) {
    const DecodedPoint point = decode_point(text.substr(at));
    width += width_of(point.value);
    if (width > columns) return std::string(text.substr(0, at));
    at += point.size;
  }
  return std::string(text);
}

}  // namespace polyphony
