#pragma once

#include <span>
#include <string_view>

namespace polyphony::board {

/// A file of the page, compiled into the program.
struct PageFile {
  std::string_view name;  ///< "/", "/board.js", ...
  std::string_view type;
  std::string_view bytes;
};

/// Made from web/ and Debian's d3 by cmake/embed_page.cmake.
std::span<const PageFile> page_files();

}  // namespace polyphony::board
