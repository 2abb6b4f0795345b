# Writes the dashboard's files as bytes into a C++ file that defines board::page_files().
# usage: cmake -DOUTPUT=page.cpp -DFILES="web/index.html;..." -P embed_page.cmake
set(arrays "")
set(table "")
set(count 0)
foreach(file ${FILES})
  get_filename_component(name ${file} NAME)
  get_filename_component(extension ${file} LAST_EXT)
  set(url "/${name}")
  # The capital keeps cpp-httplib from compressing (see board/server.cpp); browsers do not mind.
  if(extension STREQUAL ".html")
    set(type "Text/html; charset=utf-8")
    set(url "/")
  elseif(extension STREQUAL ".css")
    set(type "Text/css; charset=utf-8")
  else()
    set(type "Text/javascript; charset=utf-8")
  endif()
  file(READ ${file} bytes HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
  string(APPEND arrays "constexpr unsigned char kFile${count}[] = {\n${bytes}};\n")
  string(APPEND table "    {\"${url}\", \"${type}\", {reinterpret_cast<const char*>(kFile${count}), sizeof(kFile${count})}},\n")
  math(EXPR count "${count} + 1")
endforeach()
file(WRITE ${OUTPUT} "#include <polyphony/board/page.h>

namespace polyphony::board {
namespace {
${arrays}
}  // namespace

std::span<const PageFile> page_files() {
  static const PageFile files[] = {
${table}  };
  return files;
}

}  // namespace polyphony::board
")
