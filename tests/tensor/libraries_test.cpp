// Which shared objects a process that computes has, and in which order they are looked through.
#include <link.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include <ATen/ops/ones.h>
#include <gmock/gmock.h>

#include <polyphony/tensor/libtorch.h>

namespace polyphony::tensor {
namespace {

/// What an object asks for, in its own order.
std::vector<std::string> needed_by(const link_map* object) {
  const char* names = nullptr;
  for (const ElfW(Dyn)* entry = object->l_ld; entry->d_tag != DT_NULL; ++entry) {
    if (entry->d_tag == DT_STRTAB) names = reinterpret_cast<const char*>(entry->d_un.d_ptr);
  }
  std::vector<std::string> needed;
  for (const ElfW(Dyn)* entry = object->l_ld; entry->d_tag != DT_NULL; ++entry) {
    if (entry->d_tag == DT_NEEDED) needed.emplace_back(names + entry->d_un.d_val);
  }
  return needed;
}

std::ptrdiff_t place_of(const std::string& name, const std::vector<std::string>& needed) {
  return std::find(needed.begin(), needed.end(), name) - needed.begin();
}

/// This program (whose name the loader leaves empty) and our own shared objects.
bool is_ours(const link_map* object) {
  const std::string name = std::filesystem::path(object->l_name).filename();
  return name.empty() || name.starts_with("libpolyphony");
}

// LibTorch of PyTorch's wheels exports functions of std::filesystem and of oneDNN's types: whoever
// finds those first crashes, or is told that a primitive could not be executed.
TEST(Libraries, TheSystemsStandBeforeLibTorch) {
  int checked = 0;
  for (const link_map* object = _r_debug.r_map; object != nullptr; object = object->l_next) {
    if (!is_ours(object)) continue;
    const std::vector<std::string> needed = needed_by(object);
    const std::ptrdiff_t torch =
        std::min(place_of("libtorch_cpu.so", needed), place_of("libtorch_cpu.so.1.13", needed));
    if (torch == std::ssize(needed)) continue;
    ++checked;
    EXPECT_LT(place_of("libstdc++.so.6", needed), torch) << testing::PrintToString(needed);
    EXPECT_LT(place_of("libdnnl.so.2", needed), torch) << testing::PrintToString(needed);
  }
  EXPECT_GE(checked, 2) << "the program and libpolyphony_tensor.so";
}

// Two would run two pools of threads side by side.
TEST(Libraries, OneOpenMPIsLoaded) {
  EXPECT_EQ(at::ones({3}).sum().item<double>(), 3);
  std::set<std::string> runtimes;
  for (const link_map* object = _r_debug.r_map; object != nullptr; object = object->l_next) {
    const std::string name = std::filesystem::path(object->l_name).filename();
    for (const char* runtime : {"libgomp", "libomp", "libiomp"}) {
      if (name.starts_with(runtime)) runtimes.insert(object->l_name);
    }
  }
  EXPECT_THAT(runtimes, testing::SizeIs(1));
}

TEST(Libraries, AreTold) {
  for (const auto& [name, value] : libtorch_facts()) EXPECT_NE(value, "") << name;
  EXPECT_THAT(libtorch_facts(),
              testing::Contains(testing::Pair("LibTorch", testing::HasSubstr("/"))));
}

}  // namespace
}  // namespace polyphony::tensor
