// Writes a run store that looks like weeks of experiments, for the tests of the dashboard and for
// measuring it.  usage: board_store FOLDER RUNS VALUES_A_RUN [METRICS]
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <polyphony/base/files.h>
#include <polyphony/base/npy.h>
#include <polyphony/record/host.h>
#include <polyphony/record/store.h>

namespace {

namespace fs = std::filesystem;
using polyphony::record::Metric;
using polyphony::record::RunInfo;
using polyphony::record::Store;

constexpr const char* kClasses[] = {"small", "big", "other"};
constexpr const char* kWords[] = {"dobrý den",    "kde jsi",   "pojď sem", "to je lest",
                                  "<b>tučně</b>", "už nemůžu", "ahoj rybo"};

/// Half a second of a tone as 16-bit WAV, 8 kHz.
std::string tone(double hertz) {
  constexpr std::uint32_t kRate = 8000, kFrames = 4000;
  const auto number = [](std::uint32_t value, int bytes) {
    std::string text;
    for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i) & 0xff);
    return text;
  };
  std::string wav = "RIFF" + number(36 + 2 * kFrames, 4) + "WAVEfmt " + number(16, 4);
  wav += number(1, 2) + number(1, 2) + number(kRate, 4) + number(2 * kRate, 4);
  wav += number(2, 2) + number(16, 2) + "data" + number(2 * kFrames, 4);
  for (std::uint32_t i = 0; i < kFrames; ++i) {
    const double value = 8000 * std::sin(2 * M_PI * hertz * i / kRate);
    wav += number(static_cast<std::uint32_t>(static_cast<std::int16_t>(value)) & 0xffff, 2);
  }
  return wav;
}

/// manifest.csv with its recordings, and what a run has predicted of it.
void write_predictions(const fs::path& folder, const fs::path& run, double accuracy) {
  std::mt19937 random(7);
  std::string manifest = "audio_path,text,label,split\n", predicted;
  polyphony::NpyArray logits{{60, 3}, {}};
  for (int i = 0; i < 60; ++i) {
    const std::string name = fmt::format("tone{}.wav", i % 6);
    polyphony::write_file(folder / name, tone(220.0 * (1 + i % 6)));
    const unsigned label = static_cast<unsigned>(i) % 3;
    const bool right = std::uniform_real_distribution<>(0, 1)(random) < accuracy;
    const unsigned said = right ? label : (label + 1 + static_cast<unsigned>(i) / 3 % 2) % 3;
    const std::string row =
        fmt::format("{},{} {},{},test", name, kWords[i % 7], i, kClasses[label]);
    manifest += row + "\n";
    predicted += fmt::format("{},{}\n", row, kClasses[said]);
    for (unsigned c = 0; c < 3; ++c) {
      logits.values.push_back(c == said ? 1.0F + static_cast<float>(i % 9) / 3 : 0.0F);
    }
  }
  polyphony::write_file(folder / "manifest.csv", manifest);
  polyphony::write_file(run / "predictions/test.csv",
                        "audio_path,text,label,split,prediction\n" + predicted);
  polyphony::save_npy(run / "predictions/test.npy", logits);
}

RunInfo info_of(const fs::path& folder, int number) {
  constexpr const char* kModels[] = {"AudioClassifier", "TextClassifier", "Fusion"};
  constexpr double kRates[] = {1e-4, 3e-4, 1e-3, 3e-3, 1e-2};
  RunInfo info;
  const int setting = number / 3;  // three seeds each
  info.name = fmt::format("{}-{}", kModels[setting % 3], setting);
  info.directory = folder / "runs" / std::to_string(number);
  info.host = polyphony::record::host_name();
  info.pid = polyphony::record::process_id();
  info.seed = number % 3;
  info.verb = "train";
  info.group = fmt::format("setting {}", setting);
  info.command = "polyphony train experiment=demo";
  info.config_yaml = fmt::format(
      "seed: {}\nmodel: {{_target_: polyphony.models.{}, hidden: {}, dropout: {}}}\n"
      "optimizer: {{lr: {}, weight_decay: 0.01}}\nloading: {{batch_size: {}}}\nepochs: 10\n"
      "dataset: {{manifest: '{}', classes: [small, big, other]}}\n",
      number % 3, kModels[setting % 3], 64 << (setting / 3 % 4), 0.1 * (setting / 5 % 5),
      kRates[setting % 5], 16 << (setting / 7 % 3), (folder / "manifest.csv").string());
  if (number % 50 == 0) info.tags = {"baseline"};
  return info;
}

/// A falling loss and a rising score with the noise of training.
std::vector<Metric> values_of(int number, int values, int kinds, double started) {
  std::mt19937 random(static_cast<unsigned>(number));
  std::normal_distribution<> noise(0, 1);
  const int setting = number / 3;
  const double speed = 3 + setting % 5, best = 0.6 + 0.03 * (setting % 11) + 0.01 * noise(random);
  std::vector<Metric> metrics;
  const int steps = values / kinds;
  for (int step = 0; step < steps; ++step) {
    const double done = (step + 1.0) / steps;
    const double loss = 1.1 * std::exp(-speed * done) + 0.05;
    const double time = started + 120 * done;
    const std::int64_t epoch = static_cast<std::int64_t>(10 * step / steps);
    metrics.push_back({"train_loss", step, epoch, time, loss * std::exp(0.15 * noise(random))});
    if (kinds == 1) continue;
    metrics.push_back({"val_loss", step, epoch, time, loss * 1.2 + 0.02 * noise(random)});
    metrics.push_back(
        {"val_f1", step, epoch, time, best * (1 - std::exp(-speed * done)) + 0.01 * noise(random)});
    metrics.push_back(
        {"lr-AdamW", step, epoch, time, 1e-3 * std::min(1.0, 10 * done) * (1 - done)});
  }
  metrics.push_back({"test_f1", steps, 9, started + 121, best + 0.01 * noise(random)});
  metrics.push_back({"test_loss", steps, 9, started + 121, 1 - best});
  return metrics;
}

void write_machine(Store& store, std::int64_t id, double started) {
  std::vector<polyphony::record::SystemMetric> machine;
  std::vector<polyphony::record::ConsoleLine> console;
  for (int second = 0; second < 120; ++second) {
    machine.push_back({"cpu_percent", started + second, 150 + 40 * std::sin(second / 7.0)});
    machine.push_back({"rss_bytes", started + second, 3e8 + 2e6 * second});
    console.push_back({0, started + second, fmt::format("epoch {} step {}", second / 12, second)});
  }
  console.push_back({0, started + 120, "<script>alert('console')</script>"});
  store.log_system(id, machine);
  store.log_console(id, console);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    fmt::print(stderr, "usage: board_store FOLDER RUNS VALUES_A_RUN [1 | 4 METRICS]\n");
    return 2;
  }
  const fs::path folder = fs::absolute(argv[1]);
  const int runs = std::stoi(argv[2]), values = std::stoi(argv[3]);
  const int kinds = argc == 5 && std::string(argv[4]) == "1" ? 1 : 4;
  Store store(folder / "runs.db");
  for (int number = 0; number < runs; ++number) {
    const std::int64_t id = store.begin(info_of(folder, number));
    const double started = 1.79e9 + 200.0 * number;
    store.log(id, values_of(number, values, kinds, started));
    const bool failed = number % 17 == 16;
    store.finish(id,
                 failed ? polyphony::record::State::kFailed : polyphony::record::State::kFinished,
                 failed ? "loss is nan at step 40" : "");
    store.set_times(id, started, started + 122 + number % 40);
    if (number + 3 < runs) continue;
    write_predictions(folder, folder / "runs" / std::to_string(number), 0.8);
    write_machine(store, id, started);
  }
  return 0;
}
