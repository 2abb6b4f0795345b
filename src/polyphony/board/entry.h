#pragma once

#include <functional>
#include <string>

#include <polyphony/board/server.h>

namespace polyphony::board {

/// The symbol that the program looks up in libpolyphony_board.so, which it opens for this verb
/// alone: the server's libraries would slow down the start of every other.
inline constexpr const char* kEntrySymbol = "polyphony_board_entry";

/// Serves until SIGINT or SIGTERM. @param ready  called with the address once it is served
using Entry = void (*)(const ServerOptions& options,
                       const std::function<void(const std::string& url)>& ready);

}  // namespace polyphony::board
