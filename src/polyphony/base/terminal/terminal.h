#pragma once

#include <string>
#include <string_view>

namespace polyphony {

struct TerminalInfo {
  bool tty = false;
  int width = 80;        ///< columns, at least 1
  bool colours = false;  ///< a movable cursor, NO_COLOR unset or empty
  bool cursor = false;   ///< a TTY that can move it: TERM is set, and not "dumb"
  bool unicode = false;  ///< the locale's encoding is UTF-8
};

/// What a file descriptor (1: standard output) writes to.
TerminalInfo terminal_info(int descriptor = 1);
/// From now on terminal_info(descriptor) describes another: what is written to the one is passed on
/// to the other. @param descriptor  1 or 2
void describe_terminal_of(int descriptor, int other);

/// Columns that UTF-8 text takes: 2 for wide (CJK) characters, 0 for combining and control ones.
int display_width(std::string_view text);
/// The longest beginning of the text that takes at most so many columns.
std::string clip(std::string_view text, int columns);

}  // namespace polyphony
