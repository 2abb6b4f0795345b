#pragma once

#include <string>
#include <string_view>

#include <polyphony/config/yaml/node.h>
#include <polyphony/record/run.h>

// What must not get into a record: it is copied, shown and shared.

namespace polyphony::record {

/// What stands where a secret was.
inline constexpr const char* kMasked = "***";

/// The text with user and password taken out of every URL in it.
std::string without_credentials(const std::string& text);

/// Values are masked by name (…KEY…, …TOKEN…, …SECRET…, …PASS…, …AUTH…, …CREDENTIAL…, …COOKIE…,
/// …PRIVATE…, …DSN…) and by form: keys of well-known services, JSON web tokens, PEM keys, 32 or
/// more letters and digits in one piece, and credentials inside URLs.
std::string mask_value(std::string_view name, const std::string& value);
/// The environment with its secrets masked, sorted by name. @param environment  "NAME=VALUE" each,
/// ended by a null pointer, as environ
Pairs masked_environment(const char* const* environment);

/// A configuration with those values masked whose own key is a secret's name (password, token,
/// api_key, …; not tokenizer or max_tokens).
config::Node masked_config(const config::Node& config);
/// "a.token=x" becomes "a.token=***", in every word of the text.
std::string mask_assignments(const std::string& text);

}  // namespace polyphony::record
