#include <polyphony/base/json.h>

template class nlohmann::basic_json<>;
template class nlohmann::basic_json<nlohmann::ordered_map>;

namespace polyphony {

nlohmann::json parse_json(const std::string& text, bool allow_exceptions) {
  return nlohmann::json::parse(text, nullptr, allow_exceptions);
}

nlohmann::ordered_json parse_ordered_json(const std::string& text, bool allow_exceptions) {
  return nlohmann::ordered_json::parse(text, nullptr, allow_exceptions);
}

}  // namespace polyphony
