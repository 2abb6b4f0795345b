#include "app/program.h"

#include <cmath>
#include <cstdint>
#include <fstream>
#include <map>
#include <utility>

namespace polyphony {
namespace fs = std::filesystem;
namespace {

/// RIFF header and 16-bit samples at 16 kHz.
void write_tone(const fs::path& path, double hertz) {
  constexpr std::uint32_t kRate = 16000;
  constexpr std::uint32_t kSamples = kRate / 2;
  std::ofstream file(path, std::ios::binary);
  const auto put = [&file](std::uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) file.put(static_cast<char>(value >> (8 * i)));
  };
  file << "RIFF";
  put(36 + 2 * kSamples, 4);
  file << "WAVEfmt ";
  put(16, 4);         // size of this part
  put(1, 2);          // PCM
  put(1, 2);          // channels
  put(kRate, 4);      // frames a second
  put(2 * kRate, 4);  // bytes a second
  put(2, 2);          // bytes a frame
  put(16, 2);         // bits a sample
  file << "data";
  put(2 * kSamples, 4);
  for (std::uint32_t i = 0; i < kSamples; ++i) {
    const double phase = 2 * M_PI * hertz * i / kRate;
    put(static_cast<std::uint16_t>(static_cast<int>(9000 * std::sin(phase))), 2);
  }
}

}  // namespace

Program polyphony_in(const fs::path& folder, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), POLYPHONY_BINARY);
  return {std::move(arguments), folder, {{"POLYPHONY_STORE", folder / "logs/polyphony.db"}}};
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
        write_tone(folder / name, hertz + 5 * copy);
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
