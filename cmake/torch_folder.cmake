# polyphony_libtorch from a folder: headers and shared objects by name. Its own CMake package would
# ask for a CUDA toolkit, which the users of a wheel do not have.
foreach(library torch_cpu c10)
  if(NOT EXISTS ${torch_folder}/lib/lib${library}.so)
    message(FATAL_ERROR "POLYPHONY_TORCH=${POLYPHONY_TORCH}: ${torch_folder}/lib/lib${library}.so is "
                        "missing; give the folder of a whole LibTorch")
  endif()
endforeach()

# Strings of the C++11 ABI are what everything else on this system is built with.
file(STRINGS ${torch_folder}/lib/libc10.so new_strings REGEX "_ZN3c105Error.*__cxx11" LIMIT_COUNT 1)
if(NOT new_strings)
  message(FATAL_ERROR "${torch_folder}: LibTorch ${POLYPHONY_TORCH_VERSION} is built with the strings "
                      "of before C++11 (_GLIBCXX_USE_CXX11_ABI=0), as PyTorch's wheels up to 2.5 are. "
                      "Take the cxx11-abi archive of LibTorch, or a wheel of 2.6 or later.")
endif()

# The folder also holds fmt/, google/, dnnl.h and more of its own, in other versions than ours: only
# LibTorch's own headers are shown to the compiler, ahead of the system's.
set(headers ${CMAKE_BINARY_DIR}/libtorch-${POLYPHONY_TORCH_VERSION})
file(REMOVE_RECURSE ${headers})
file(MAKE_DIRECTORY ${headers})
foreach(part ATen c10 caffe2 torch)
  file(CREATE_LINK ${torch_include}/${part} ${headers}/${part} SYMBOLIC)
endforeach()
target_include_directories(polyphony_libtorch SYSTEM INTERFACE
                           ${headers} ${headers}/torch/csrc/api/include)
target_compile_definitions(polyphony_libtorch INTERFACE USE_C10D_GLOO)

# libtorch.so would bring CUDA's libraries along; these two do not.
target_link_libraries(polyphony_libtorch INTERFACE ${torch_folder}/lib/libtorch_cpu.so
                                                   ${torch_folder}/lib/libc10.so)
