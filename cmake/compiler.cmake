# Warnings, sanitizers and ccache, for every target of ours.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
endif()

add_library(polyphony_warnings INTERFACE)
target_compile_options(polyphony_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
                                                    -Wno-sign-conversion -Werror
  # g++ 12 sees faults inside std::string's operator+ that are not there (GCC bug 105651); from a
  # precompiled header it tells them too.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict;-Wno-stringop-overflow;-Wno-array-bounds>)

# What most files include. Every file still names what it uses: -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON
# builds without.
set(POLYPHONY_COMMON_HEADERS <algorithm> <cmath> <filesystem> <functional> <map> <memory> <optional>
                             <string> <vector> <fmt/format.h>)

if(POLYPHONY_SANITIZE)
  add_compile_options(-fsanitize=${POLYPHONY_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all
                      # Sanitized code makes GCC see uses before initialisation that are not there.
                      -Wno-maybe-uninitialized)
  add_link_options(-fsanitize=${POLYPHONY_SANITIZE})
  if(POLYPHONY_SANITIZE MATCHES "undefined")
    # LibTorch's objects carry no type information for the vptr check.
    add_compile_options(-fno-sanitize=vptr)
  endif()
endif()
