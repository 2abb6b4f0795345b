#include <polyphony/record/system.h>

#include <link.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>

#include <fmt/format.h>
#include <sqlite3.h>

#include <polyphony/record/host.h>

namespace polyphony::record {
namespace {

/// The value behind "NAME   :" in a file of /proc; "" where absent.
std::string proc_value(const char* file, std::string_view name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(name)) continue;
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

/// "1234 kB" of /proc/meminfo or /proc/self/status, in bytes.
double kilobytes(const char* file, std::string_view name) {
  return std::strtod(proc_value(file, name).c_str(), nullptr) * 1024;
}

std::string os_name() {
  std::ifstream in("/etc/os-release");
  for (std::string line; std::getline(in, line);) {
    constexpr std::string_view kName = "PRETTY_NAME=\"";
    if (line.starts_with(kName)) return line.substr(kName.size(), line.size() - kName.size() - 1);
  }
  return "Linux";
}

/// "libsndfile.so.1.0.35" is libsndfile 1.0.35; nothing for a name without a version.
void add_version(const std::string& path, Pairs& pairs) {
  std::error_code error;
  const std::string file = std::filesystem::canonical(path, error).filename();
  const std::size_t so = file.find(".so.");
  std::string name = file.substr(0, so);
  std::string version = so == std::string::npos ? "" : file.substr(so + 4);
  // "libicuuc.so.72.1", but also "libtorch_cpu-1.13.so".
  if (so == std::string::npos) {
    const std::size_t dash = file.rfind('-');
    const std::size_t end = file.rfind(".so");
    if (dash == std::string::npos || end == std::string::npos || end < dash) return;
    name = file.substr(0, dash);
    version = file.substr(dash + 1, end - dash - 1);
  }
  constexpr std::array<std::string_view, 9> kOfNote = {"libtorch_cpu", "libc10",      "libgloo",
                                                       "libdnnl",      "libopenblas", "libsndfile",
                                                       "libsoxr",      "libicuuc",    "libstdc++"};
  if (std::find(kOfNote.begin(), kOfNote.end(), name) == kOfNote.end()) return;
  pairs.emplace_back("version." + name, version);
}

int visit_library(dl_phdr_info* info, std::size_t, void* data) {
  if (info->dlpi_name != nullptr && *info->dlpi_name != '\0') {
    add_version(info->dlpi_name, *static_cast<Pairs*>(data));
  }
  return 0;
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

}  // namespace

Pairs system_facts() {
  utsname names{};
  uname(&names);
  Pairs pairs;
  pairs.emplace_back("os", os_name());
  pairs.emplace_back("kernel",
                     fmt::format("{} {} {}", names.sysname, names.release, names.machine));
  pairs.emplace_back("cpu", proc_value("/proc/cpuinfo", "model name"));
  pairs.emplace_back("cores", std::to_string(sysconf(_SC_NPROCESSORS_ONLN)));
  pairs.emplace_back("memory_bytes", fmt::format("{:.0f}", kilobytes("/proc/meminfo", "MemTotal")));
  pairs.emplace_back("compiler", fmt::format("g++ {}", __VERSION__));
  Pairs versions;
  dl_iterate_phdr(visit_library, &versions);
  versions.emplace_back("version.sqlite", sqlite3_libversion());
  std::sort(versions.begin(), versions.end());
  pairs.insert(pairs.end(), versions.begin(), versions.end());
  return pairs;
}

SystemSampler::SystemSampler() : cpu_seconds_(cpu_seconds()), time_(now()) {}

std::vector<SystemMetric> SystemSampler::sample() {
  const double time = now();
  const double cpu = cpu_seconds();
  const double passed = std::max(time - time_, 1e-3);
  const double total = std::max(kilobytes("/proc/meminfo", "MemTotal"), 1.0);
  const double available = kilobytes("/proc/meminfo", "MemAvailable");
  double load = 0;
  getloadavg(&load, 1);
  std::vector<SystemMetric> metrics = {
      {"cpu_percent", time, 100 * (cpu - cpu_seconds_) / passed},
      {"rss_bytes", time, kilobytes("/proc/self/status", "VmRSS")},
      {"threads", time, std::strtod(proc_value("/proc/self/status", "Threads").c_str(), nullptr)},
      {"memory_percent", time, 100 * (1 - available / total)},
      {"load", time, load}};
  cpu_seconds_ = cpu;
  time_ = time;
  return metrics;
}

}  // namespace polyphony::record
