#include "app/program.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <utility>

#include "tone.h"

namespace polyphony {
namespace fs = std::filesystem;
Program polyphony_in(const fs::path& folder, std::vector<std::string> arguments) {
  std::vector<std::string> command = {POLYPHONY_BINARY};
  std::move(arguments.begin(), arguments.end(), std::back_inserter(command));
  return {std::move(command), folder, {{"POLYPHONY_STORE", folder / "logs/polyphony.db"}}};
}

Finished run_program(const fs::path& folder, std::vector<std::string> arguments) {
  return polyphony_in(folder, std::move(arguments)).run();
}

fs::path write_tones(const fs::path& folder) {
  static const std::map<std::string, int> copies = {{"train", 8}, {"val", 2}, {"test", 3}};
  static const std::map<std::string, double> classes = {
      {"small", 200}, {"big", 400}, {"other", 800}};
  std::ofstream manifest(folder / "manifest.csv");
  manifest << "audio_path,text,label,group,language,split\n";
  for (const auto& [split, count] : copies) {
    for (int copy = 0; copy < count; ++copy) {
      for (const auto& [label, hertz] : classes) {
        const std::string name = split + std::to_string(copy) + label + ".wav";
        write_tone(folder / name, hertz + 5 * copy, 16000 / 2);
        manifest << name << ",I am " << label << ".," << label << ',' << split << copy << ",en,"
                 << split << '\n';
      }
    }
  }
  return folder / "manifest.csv";
}

std::vector<std::string> small_run(const std::string& verb, const fs::path& manifest) {
  return {verb,
          "--config-path",
          std::string(POLYPHONY_SOURCE_DIR) + "/configs",
          "experiment=fillets/audio",
          "dataset.manifest=" + manifest.string(),
          "hydra.run.dir=run",
          "num_threads=1",
          "epochs=2",
          "task.model.encoder.channels=8",
          "task.model.encoder.dims=8"};
}

}  // namespace polyphony
