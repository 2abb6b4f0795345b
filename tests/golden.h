#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <nlohmann/json.hpp>

namespace polyphony {

/// The golden cases: POLYPHONY_GOLDEN_DIR, or the copy among the tests.
inline std::filesystem::path golden_dir() {
  const char* given = std::getenv("POLYPHONY_GOLDEN_DIR");
  return given != nullptr ? given : std::string(POLYPHONY_TEST_DIR) + "/golden";
}

inline nlohmann::json golden_json(const std::string& name) {
  return nlohmann::json::parse(std::ifstream(golden_dir() / name));
}

/// A number, or "NaN", "Infinity" and "-Infinity" as text.
inline double golden_number(const nlohmann::json& value) {
  return value.is_string() ? std::strtod(value.get<std::string>().c_str(), nullptr)
                           : value.get<double>();
}

}  // namespace polyphony
