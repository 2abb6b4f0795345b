#include <polyphony/hub/settings.h>

#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <optional>
#include <string_view>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>

namespace polyphony::hub {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> first_of(const Environment& environment,
                                    std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (auto value = environment(name)) return value;
  }
  return std::nullopt;
}

/// What huggingface_hub takes for yes: 1, on, yes, true in any case.
bool is_true(const std::optional<std::string>& value) {
  std::string text = value.value_or("");
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text == "1" || text == "ON" || text == "YES" || text == "TRUE";
}

std::string trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(kBlank) - begin + 1));
}

fs::path expanded(const std::string& path, const Environment& environment) {
  if (path != "~" && !path.starts_with("~/")) return path;
  const auto home = environment("HOME");
  if (!home) {
    throw ConfigError(path + ": HOME is not set, so ~ means nothing",
                      "set HF_HOME to the absolute path of a folder");
  }
  return fs::path(*home) / path.substr(std::min<std::size_t>(2, path.size()));
}

std::string endpoint_of(const Environment& environment, const std::string& usual) {
  std::string endpoint = trimmed(environment("HF_ENDPOINT").value_or(usual));
  while (endpoint.ends_with('/')) endpoint.pop_back();
  if (!endpoint.starts_with("https://") && !endpoint.starts_with("http://")) {
    throw ConfigError("HF_ENDPOINT=" + endpoint + ": no http(s) address",
                      "write it as https://huggingface.co, or unset it");
  }
  return endpoint;
}

std::string token_of(const Environment& environment, const fs::path& file) {
  if (is_true(environment("HF_HUB_DISABLE_IMPLICIT_TOKEN"))) return {};
  if (auto token = first_of(environment, {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"})) {
    return trimmed(*token);
  }
  std::error_code error;
  return fs::is_regular_file(file, error) ? trimmed(read_file(file)) : std::string();
}

}  // namespace

Settings read_settings(const Environment& environment) {
  const auto path = [&](const std::string& text) { return expanded(text, environment); };
  Settings settings;
  settings.endpoint = endpoint_of(environment, settings.endpoint);
  settings.home = environment("HF_HOME")
                      ? path(*environment("HF_HOME"))
                      : path(environment("XDG_CACHE_HOME").value_or("~/.cache")) / "huggingface";
  const auto cache =
      first_of(environment, {"TRANSFORMERS_CACHE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"});
  settings.cache = cache ? path(*cache) : settings.home / "hub";
  settings.token_file =
      environment("HF_TOKEN_PATH") ? path(*environment("HF_TOKEN_PATH")) : settings.home / "token";
  settings.token = token_of(environment, settings.token_file);
  settings.offline =
      is_true(environment("HF_HUB_OFFLINE")) || is_true(environment("TRANSFORMERS_OFFLINE"));
  settings.certificates =
      first_of(environment, {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"}).value_or("");
  return settings;
}

}  // namespace polyphony::hub
