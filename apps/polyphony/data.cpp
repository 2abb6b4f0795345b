#include "data.h"

#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <polyphony/base/csv.h>
#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
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

}  // namespace

void add_data_commands(CLI::App& app) {
  CLI::App* data = app.add_subcommand("data", "prepare and check data");
  data->require_subcommand(1);
  static const std::map<std::string, FilletsLanguage> languages = {{"cs", FilletsLanguage::kCzech},
                                                                   {"nl", FilletsLanguage::kDutch},
                                                                   {"all", FilletsLanguage::kAll}};

  CLI::App* fillets =
      data->add_subcommand("fillets", "manifest of the dialogue of Fish Fillets NG");
  auto source = std::make_shared<FilletsArguments>();
  fillets->add_option("--out", source->out, "folder for manifest.csv")->required();
  fillets->add_option("--language", source->options.language, "cs, nl or all (default)")
      ->transform(CLI::CheckedTransformer(languages));
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
}

}  // namespace polyphony::app
