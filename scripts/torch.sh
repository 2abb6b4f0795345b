# Sourced by scripts/test and scripts/quickstart: which LibTorch, and where its build lies.
#
# choose_torch CHOICE   debian (or nothing), a version that packaging/torch-VERSION.txt names, or the
#                       folder of a LibTorch (the one with include/ and lib/)
#   sets build          the build folder: build/release, or one beside it
#        install_flags  for scripts/install
#        cmake_flags    for cmake --preset release
choose_torch() {
  local choice=${1:-debian}
  install_flags=()
  cmake_flags=()
  if [[ $choice == debian ]]; then
    build=build/release
  elif [[ $choice == */* ]]; then
    if [[ ! -e $choice/lib/libtorch_cpu.so ]]; then
      echo "$choice: no lib/libtorch_cpu.so there; give a LibTorch's folder, or a version" >&2
      exit 2
    fi
    build=build/release-folder
    cmake_flags=(-DPOLYPHONY_TORCH="$(realpath "$choice")")
  else
    build=build/release-$choice
    install_flags=(--torch "$choice")
    cmake_flags=(-DPOLYPHONY_TORCH=".torch/$choice/torch")
  fi
  cmake_flags+=(-B "$build")
}
