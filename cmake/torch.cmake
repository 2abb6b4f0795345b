# The LibTorch that everything is built against, as one target: polyphony_libtorch.
#
#   POLYPHONY_TORCH=debian    the package libtorch-dev; the default where it is installed
#   POLYPHONY_TORCH=FOLDER    an unpacked LibTorch, or site-packages/torch of a wheel or of conda
#                             (the folder with include/ and lib/); scripts/install --torch 2.11.0
#                             makes .torch/2.11.0/torch
#
# sets POLYPHONY_TORCH_VERSION (2.11.0) and POLYPHONY_TORCH_API (v1 or v2), which says which of two
# files NAME_v1.cpp and NAME_v2.cpp is compiled.
# The headers of Debian's 1.13.1 say 1.13.0.
set(tested_torch 1.13.0 2.11.0 2.15.0)
list(JOIN tested_torch ", " tested_list)

if(EXISTS /usr/include/torch/csrc/api/include/torch/version.h)
  set(default_torch debian)
endif()
set(POLYPHONY_TORCH "${default_torch}" CACHE STRING "debian, or the folder of a LibTorch")

if(POLYPHONY_TORCH STREQUAL "")
  message(FATAL_ERROR "no LibTorch: install libtorch-dev, or give its folder with "
                      "-DPOLYPHONY_TORCH=FOLDER (scripts/install --torch 2.11.0 brings one)")
elseif(POLYPHONY_TORCH STREQUAL "debian")
  set(torch_include /usr/include)
else()
  get_filename_component(torch_folder "${POLYPHONY_TORCH}" ABSOLUTE BASE_DIR ${CMAKE_SOURCE_DIR})
  set(torch_include ${torch_folder}/include)
endif()

# Its version, by the header that says it: 2.x has moved it.
set(version_header ${torch_include}/torch/headeronly/version.h)
if(NOT EXISTS ${version_header})
  set(version_header ${torch_include}/torch/csrc/api/include/torch/version.h)
endif()
if(NOT EXISTS ${version_header})
  message(FATAL_ERROR "POLYPHONY_TORCH=${POLYPHONY_TORCH}: no LibTorch there: "
                      "${torch_include}/torch is missing. Give the folder that has include/ and lib/.")
endif()
set(POLYPHONY_TORCH_VERSION "")
foreach(part MAJOR MINOR PATCH)
  file(STRINGS ${version_header} line REGEX "define TORCH_VERSION_${part} ")
  string(REGEX MATCH "[0-9]+$" number "${line}")
  list(APPEND POLYPHONY_TORCH_VERSION ${number})
endforeach()
string(REPLACE ";" "." POLYPHONY_TORCH_VERSION "${POLYPHONY_TORCH_VERSION}")
if(POLYPHONY_TORCH_VERSION VERSION_LESS 1.13)
  message(FATAL_ERROR "LibTorch ${POLYPHONY_TORCH_VERSION} (${torch_include}) is too old: "
                      "1.13 is the oldest that works; tested are ${tested_list}")
elseif(NOT POLYPHONY_TORCH_VERSION IN_LIST tested_torch)
  message(NOTICE "LibTorch ${POLYPHONY_TORCH_VERSION} is taken, but not tested: ${tested_list} are")
endif()
set(POLYPHONY_TORCH_API v2)
if(POLYPHONY_TORCH_VERSION VERSION_LESS 2)
  set(POLYPHONY_TORCH_API v1)
endif()

# at::parallel_for is compiled into our own files, and without OpenMP's flag it is a plain loop.
find_package(OpenMP REQUIRED COMPONENTS CXX)
# Debian's oneDNN, the one that Debian's LibTorch itself links.
find_library(DNNL_LIBRARY dnnl REQUIRED)

# The order decides: other LibTorches than Debian's export symbols of std::filesystem and of oneDNN's
# types that are not their own, so the system's libraries come first in every list of needed ones.
add_library(polyphony_libtorch INTERFACE)
target_link_libraries(polyphony_libtorch INTERFACE -Wl,--no-as-needed stdc++ ${DNNL_LIBRARY})
if(POLYPHONY_TORCH STREQUAL "debian")
  find_package(Torch REQUIRED)
  find_library(GLOO_LIBRARY gloo REQUIRED)  # others have Gloo inside
  target_link_libraries(polyphony_libtorch INTERFACE torch ${GLOO_LIBRARY})
else()
  include(torch_folder)
endif()
# By its flag, not as a file: wheels have a libgomp.so.1 of their own beside LibTorch, and CMake would
# warn at every target that one hides the other. One is loaded, whichever is found first.
add_library(polyphony_openmp INTERFACE)
target_compile_options(polyphony_openmp INTERFACE ${OpenMP_CXX_FLAGS})
target_link_options(polyphony_openmp INTERFACE ${OpenMP_CXX_FLAGS})
target_link_libraries(polyphony_libtorch INTERFACE polyphony_openmp)
message(STATUS "LibTorch ${POLYPHONY_TORCH_VERSION}: ${torch_include}")
