#include <polyphony/record/run.h>

#include <array>

namespace polyphony::record {
namespace {

constexpr std::array<std::pair<const char*, State>, 4> kStates = {
    {{"running", State::kRunning},
     {"finished", State::kFinished},
     {"failed", State::kFailed},
     {"interrupted", State::kInterrupted}}};

}  // namespace

const char* to_string(State state) { return kStates.at(static_cast<std::size_t>(state)).first; }

std::optional<State> parse_state(const std::string& text) {
  for (const auto& [name, state] : kStates) {
    if (text == name) return state;
  }
  return std::nullopt;
}

}  // namespace polyphony::record
