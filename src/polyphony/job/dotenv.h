#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace polyphony::job {

/// One statement of a .env file.
struct DotenvBinding {
  std::string key;                   ///< empty for comments, blank lines and errors
  std::optional<std::string> value;  ///< nothing for a key without '='
  int line = 1;                      ///< where the statement begins
  bool error = false;                ///< the statement could not be read

  bool operator==(const DotenvBinding&) const = default;
};

/// Reads a .env file as python-dotenv 1.0 does: `export`, quotes, escapes, comments, values over
/// several lines. A bad statement is marked and the next line goes on.
std::vector<DotenvBinding> parse_dotenv(std::string_view text);

using Environment = std::function<std::optional<std::string>(const std::string&)>;
using DotenvValues = std::vector<std::pair<std::string, std::optional<std::string>>>;

/// Whether a .env file or the environment wins where both set a variable.
enum class DotenvPrecedence { kEnvironment, kFile };

/// The values in the order of their first mention, with ${NAME} and ${NAME:-default} replaced.
DotenvValues expand_dotenv(const std::vector<DotenvBinding>& bindings, const Environment& env,
                           DotenvPrecedence precedence);

/// The nearest .env in the directory or one above it; nothing where there is none.
std::optional<std::filesystem::path> find_dotenv(const std::filesystem::path& directory);

/// Sets this process's environment from a file.
/// @return one warning for each statement that could not be read
/// @throws IoError where the file cannot be read
std::vector<std::string> load_dotenv(const std::filesystem::path& file,
                                     DotenvPrecedence precedence);

/// What a program does at start: loads the nearest .env of the working directory. POLYPHONY_DOTENV
/// names another file ("" for none); POLYPHONY_DOTENV_OVERRIDE=1 lets the file win over the
/// environment.
/// @return warnings, as load_dotenv
std::vector<std::string> load_nearest_dotenv();

}  // namespace polyphony::job
