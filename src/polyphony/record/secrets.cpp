#include <polyphony/record/secrets.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <regex>

namespace polyphony::record {
namespace {

constexpr std::array<std::string_view, 11> kParts = {"KEY",  "TOKEN",      "SECRET", "PASS",
                                                     "AUTH", "CREDENTIAL", "COOKIE", "PRIVATE",
                                                     "DSN",  "SESSION_ID", "BEARER"};

/// Names of settings that are secrets; compared without "_" and "-".
constexpr std::array<std::string_view, 14> kSecretKeys = {
    "password",  "passwd",    "passphrase",  "secret",     "token",   "apikey",      "accesskey",
    "secretkey", "authtoken", "accesstoken", "privatekey", "hftoken", "wandbapikey", "credentials"};

std::string upper(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return out;
}

bool has_secret_name(std::string_view name) {
  const std::string loud = upper(name);
  return std::any_of(kParts.begin(), kParts.end(), [&loud](std::string_view part) {
    return loud.find(part) != std::string::npos;
  });
}

bool is_secret_key(std::string_view key) {
  std::string plain;
  for (const char c : key) {
    if (c != '_' && c != '-') {
      plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
  }
  return std::find(kSecretKeys.begin(), kSecretKeys.end(), plain) != kSecretKeys.end();
}

/// 32 or more letters and digits in one piece, with both among them: a random key, no word or path.
bool looks_random(const std::string& value) {
  constexpr std::size_t kShortest = 32;
  std::size_t run = 0;
  bool letters = false;
  bool digits = false;
  for (const char c : value + " ") {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) == 0) {
      if (run >= kShortest && letters && digits) return true;
      run = 0;
      letters = digits = false;
      continue;
    }
    ++run;
    letters = letters || std::isalpha(byte) != 0;
    digits = digits || std::isdigit(byte) != 0;
  }
  return false;
}

bool has_secret_form(const std::string& value) {
  static const std::regex kKnown(
      "(^|[^A-Za-z0-9])(sk-[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|"
      "github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|xox[abprs]-[A-Za-z0-9-]{10,}|"
      "AKIA[0-9A-Z]{16}|eyJ[A-Za-z0-9_-]{10,}\\.[A-Za-z0-9_-]{10,}|-----BEGIN )");
  return std::regex_search(value, kKnown) || looks_random(value);
}

std::string mask_assignment(const std::string& word) {
  const std::size_t equals = word.find('=');
  if (equals == std::string::npos) return word;
  const std::string path = word.substr(0, equals);
  const std::size_t begin = path.find_last_of(".+~/-'\"");
  const std::string key = begin == std::string::npos ? path : path.substr(begin + 1);
  return is_secret_key(key) ? path + "=" + kMasked : word;
}

}  // namespace

std::string without_credentials(const std::string& text) {
  std::string out;
  std::size_t from = 0;
  for (std::size_t at = text.find("://"); at != std::string::npos; at = text.find("://", from)) {
    at += 3;
    out += text.substr(from, at - from);
    const std::size_t end = std::min(text.find_first_of("/?# \t\n'\"", at), text.size());
    const std::size_t sign = text.substr(at, end - at).rfind('@');
    from = sign == std::string::npos ? at : at + sign + 1;
  }
  return out + text.substr(from);
}

std::string mask_value(std::string_view name, const std::string& value) {
  if (value.empty()) return value;
  if (has_secret_name(name) || has_secret_form(value)) return kMasked;
  return without_credentials(value);
}

Pairs masked_environment(const char* const* environment) {
  Pairs pairs;
  for (const char* const* entry = environment; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string name(text.substr(0, equals));
    pairs.emplace_back(name, mask_value(name, std::string(text.substr(equals + 1))));
  }
  std::sort(pairs.begin(), pairs.end());
  return pairs;
}

config::Node masked_config(const config::Node& config) {
  config::Node out = config;
  if (out.is_map()) {
    for (auto& [key, value] : out.entries()) {
      const bool secret = key.is_string() && is_secret_key(key.as_string());
      if (secret && value.is_scalar() && !value.is_null()) {
        value = config::Node(kMasked);
      } else {
        value = masked_config(value);
      }
    }
  } else if (out.is_list()) {
    for (config::Node& item : out.items()) item = masked_config(item);
  } else if (out.is_string() && !out.is_bytes()) {
    out = config::Node(without_credentials(out.as_string()));
  }
  return out;
}

std::string mask_assignments(const std::string& text) {
  std::string out;
  std::string word;
  for (const char c : text) {
    if (c == ' ' || c == '\n') {
      out += mask_assignment(word) + c;
      word.clear();
    } else {
      word += c;
    }
  }
  return without_credentials(out + mask_assignment(word));
}

}  // namespace polyphony::record
