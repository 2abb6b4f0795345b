#include "data.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <polyphony/audio/decode.h>
#include <polyphony/audio/log_mel.h>
#include <polyphony/base/csv.h>
#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/npy.h>
#include <polyphony/corpus/check.h>
#include <polyphony/corpus/fillets.h>
#include <polyphony/corpus/manifest.h>

namespace polyphony::app {
namespace {

using corpus::FilletsLanguage;

struct FilletsArguments {
  std::string out;
  corpus::FilletsOptions options;
};

struct CheckArguments {
  std::string manifest;
  corpus::ManifestColumns columns;
  bool strict = false;
};

void write_fillets(const FilletsArguments& arguments) {
  const corpus::Fillets fillets = corpus::read_fillets(arguments.options);
  const auto path = std::filesystem::path(arguments.out) / "manifest.csv";
  write_file(path, std::string_view(to_csv(fillets.table)));
  for (const std::string& skipped : fillets.skipped) fmt::print("skipped: {}\n", skipped);
  fmt::print("left out: {} recordings without text\n", fillets.without_text);
  for (const auto& [split, classes] : fillets.counts) {
    std::size_t rows = 0;
    std::string line;
    for (const auto& [name, count] : classes) {
      line += fmt::format(" {} {}", name, count);
      rows += count;
    }
    fmt::print("{}: {} rows:{}\n", split, rows, line);
  }
  fmt::print("{}: {} rows\n", path.string(), fillets.table.rows.size());
}

void check(const CheckArguments& arguments) {
  const auto manifest = corpus::read_manifest(arguments.manifest, arguments.columns);
  const corpus::CheckReport report = corpus::check_manifest(manifest);
  fmt::print("{}", corpus::to_text(report));
  std::fflush(stdout);
  if (!report.bad_audio.empty()) {
    throw DataError(fmt::format("{}: {} recordings are missing, unreadable or empty",
                                arguments.manifest, report.bad_audio.size()),
                    "mend their paths or remove their rows; they are listed above");
  }
  if (arguments.strict && report.leaks()) {
    throw DataError(
        fmt::format("{}: {} texts and {} groups stand in more than one split", arguments.manifest,
                    report.leaked_texts.size(), report.leaked_groups.size()),
        "give each of them one split; they are listed above");
  }
}

/// Mean and deviation over time of each log-mel band: float [2 * mels].
std::vector<float> summary_of(const audio::Frames& frames) {
  const auto mels = static_cast<std::size_t>(frames.mels);
  const auto count = static_cast<double>(frames.frames);
  std::vector<double> sum(mels);
  std::vector<double> squares(mels);
  for (std::size_t i = 0; i < frames.values.size(); ++i) {
    const double value = static_cast<double>(frames.values[i]);
    sum[i % mels] += value;
    squares[i % mels] += value * value;
  }
  std::vector<float> summary(2 * mels);
  for (std::size_t band = 0; band < mels; ++band) {
    const double mean = sum[band] / count;
    summary[band] = static_cast<float>(mean);
    summary[mels + band] =
        static_cast<float>(std::sqrt(std::max(0.0, squares[band] / count - mean * mean)));
  }
  return summary;
}

void write_features(const std::string& manifest_path, const std::string& out) {
  const auto manifest = corpus::read_manifest(manifest_path);
  if (!manifest.has_audio) {
    throw DataError(manifest_path + ": no column 'audio_path'", "features are of recordings");
  }
  const audio::LogMelOptions options;
  const audio::LogMel front_end(options);
  NpyArray features;
  for (const auto& row : manifest.rows) {
    const auto one = summary_of(front_end(audio::load_mono(row.audio_path, options.rate).samples));
    features.values.insert(features.values.end(), one.begin(), one.end());
  }
  features.shape = {static_cast<std::int64_t>(manifest.rows.size()), 2L * options.mels};
  save_npy(out, features);
}

}  // namespace

void add_data_commands(CLI::App& app) {
  CLI::App* data = app.add_subcommand("data", "prepare and check data");
  data->require_subcommand(1);
  static const std::map<std::string, FilletsLanguage> kLanguages = {{"cs", FilletsLanguage::kCzech},
                                                                    {"nl", FilletsLanguage::kDutch},
                                                                    {"all", FilletsLanguage::kAll}};

  CLI::App* fillets =
      data->add_subcommand("fillets", "manifest of the dialogue of Fish Fillets NG");
  auto source = std::make_shared<FilletsArguments>();
  fillets->add_option("--out", source->out, "folder for manifest.csv")->required();
  fillets->add_option("--language", source->options.language, "cs, nl or all (default)")
      ->transform(CLI::CheckedTransformer(kLanguages));
  fillets->add_option("--root", source->options.root, "where the game's data is installed");
  fillets->callback([source] { write_fillets(*source); });

  CLI::App* checker =
      data->add_subcommand("check", "what a manifest holds, and what is wrong with it");
  auto subject = std::make_shared<CheckArguments>();
  checker->add_option("manifest", subject->manifest, "the CSV file")->required();
  checker->add_flag("--strict", subject->strict, "fail on leakage between splits too");
  checker->add_option("--path-column", subject->columns.path, "column of the recording");
  checker->add_option("--text-column", subject->columns.text, "column of the transcript");
  checker->add_option("--label-column", subject->columns.label, "column of the label");
  checker->add_option("--group-column", subject->columns.group, "column of the group");
  checker->add_option("--split-column", subject->columns.split, "column of the split");
  checker->callback([subject] { check(*subject); });

  CLI::App* features = data->add_subcommand(
      "features", "means and deviations of log-mel bands, one row an utterance");
  auto input = std::make_shared<std::string>();
  auto output = std::make_shared<std::string>();
  features->add_option("manifest", *input, "the CSV file")->required();
  features->add_option("--out", *output, "the .npy file to write")->required();
  features->callback([input, output] { write_features(*input, *output); });
}

}  // namespace polyphony::app
