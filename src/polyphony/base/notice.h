#pragma once

#include <functional>
#include <string_view>
#include <utility>

#include <fmt/core.h>

// What the parts of the program tell the user goes through here; none of them prints.

namespace polyphony {

enum class Notice {
  kInfo,     ///< what was done, and what was asked for
  kNote,     ///< what is beside the answer, e.g. rows that were left out
  kWarning,  ///< what the user may want to mend
};

/// Shows a notice. @param text  whole lines, each with its line end
using NoticeSink = std::function<void(Notice kind, std::string_view text)>;

/// Prints kInfo to standard output, the others to standard error, a warning after "warning: ".
void print_notice(Notice kind, std::string_view text);

/// Replaces the process's sink, which is print_notice. To be called while no other thread notifies.
/// @return the former sink
NoticeSink set_notice_sink(NoticeSink sink);

/// Any thread may call this, and what is below.
void notify(Notice kind, std::string_view text);

/// One line, or more, of which the last gets its line end here.
template <class... Arguments>
void inform(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  notify(Notice::kInfo, fmt::format(format, std::forward<Arguments>(arguments)...) + "\n");
}
template <class... Arguments>
void note(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  notify(Notice::kNote, fmt::format(format, std::forward<Arguments>(arguments)...) + "\n");
}
template <class... Arguments>
void warn(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  notify(Notice::kWarning, fmt::format(format, std::forward<Arguments>(arguments)...) + "\n");
}

}  // namespace polyphony
