// The least program on job::run_app: prints its resolved configuration as one JSON line, as the
// golden cases' app.py does. Some keys, where they are there, make it misbehave:
//   say: TEXT    into the log        env: NAME     prints that variable
//   fail: TEXT   an error            crash: true   a crash        wait: true   until a signal
// usage: test_job_app CONFIG_DIR CONFIG_NAME VERSION_BASE WORD...
// VERSION_BASE: "null" for the newest, "unset" for never said.
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/config/yaml/dump.h>
#include <polyphony/job/app.h>
#include <polyphony/job/log.h>

namespace {

using polyphony::config::Node;

void task(const polyphony::job::Job& job) {
  const Node config = job.resolved();
  fmt::print("{}\n", polyphony::config::to_json(config));
  const auto text = [&](const char* key) {
    const Node* node = config.find(key);
    return node != nullptr && node->is_string() ? node->as_string() : std::string();
  };
  const auto asked = [&](const char* key) {
    const Node* node = config.find(key);
    return node != nullptr && node->as_bool();
  };
  if (!text("say").empty()) job.log.info("app.task", text("say"));
  if (!text("env").empty()) fmt::print("{}\n", std::getenv(text("env").c_str()));
  if (!text("fail").empty()) throw polyphony::DataError(text("fail"), "do otherwise");
  std::fflush(stdout);
  if (asked("crash")) std::abort();
  if (asked("wait")) pause();
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  polyphony::job::App app;
  app.name = "app";
  app.program = "app.py";
  app.version = "Hydra 1.3.2";
  app.config_dir = words.at(0);
  app.config_name = words.at(1);
  if (words.at(2) != "null") app.version_base = words.at(2) == "unset" ? "" : words.at(2);
  app.task = task;
  return polyphony::job::run_app(app, {words.begin() + 3, words.end()});
}
