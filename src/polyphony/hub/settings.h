#pragma once

#include <filesystem>
#include <string>

#include <polyphony/base/environment.h>

namespace polyphony::hub {

/// What Hugging Face's environment variables ask for.
struct Settings {
  std::string endpoint = "https://huggingface.co";  ///< HF_ENDPOINT, without a slash at its end
  std::string token;           ///< HF_TOKEN, else of the token file; empty: none
  bool offline = false;        ///< HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE
  std::filesystem::path home;  ///< HF_HOME, else XDG_CACHE_HOME/huggingface
  std::filesystem::path
      cache;  ///< TRANSFORMERS_CACHE, HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE or home/hub
  std::filesystem::path token_file;  ///< HF_TOKEN_PATH, else home/token
  std::string
      certificates;  ///< REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE or SSL_CERT_FILE; empty: system's
};

/// The variables in the order in which Transformers 4 and huggingface_hub look at them.
/// HF_HUB_DISABLE_IMPLICIT_TOKEN leaves the token out.
/// @throws ConfigError for an HF_ENDPOINT that is no http(s) address, or where no home is known
Settings read_settings(const Environment& environment);

}  // namespace polyphony::hub
