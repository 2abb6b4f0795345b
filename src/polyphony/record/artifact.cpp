#include <polyphony/record/artifact.h>

#include <polyphony/base/digest.h>
#include <polyphony/base/files.h>
#include <polyphony/record/host.h>

namespace polyphony::record {
namespace fs = std::filesystem;
namespace {

void measure(Artifact& artifact) {
  artifact.sha256 = file_digest(DigestKind::kSha256, artifact.path);
  artifact.bytes = static_cast<std::int64_t>(fs::file_size(artifact.path));
  artifact.created = now();
}

Action record_it(Artifact artifact) {
  return [artifact = std::move(artifact)](Sink& sink) { sink.log_artifact(artifact); };
}

}  // namespace

Source file_artifact(std::string kind, fs::path path, std::string metadata) {
  Artifact artifact;
  artifact.name = kind + "/" + path.filename().string();
  artifact.kind = std::move(kind);
  artifact.path = std::move(path);
  artifact.metadata = std::move(metadata);
  return [artifact = std::move(artifact)]() mutable -> std::optional<Action> {
    if (!fs::is_regular_file(artifact.path)) return std::nullopt;
    measure(artifact);
    return record_it(artifact);
  };
}

Source figure_artifact(std::string kind, std::string name, const fs::path& directory,
                       std::string data) {
  Artifact artifact;
  artifact.path = directory / (name + ".json");
  artifact.kind = std::move(kind);
  artifact.name = std::move(name);
  artifact.data = std::move(data);
  return [artifact = std::move(artifact)]() mutable -> std::optional<Action> {
    write_file(artifact.path, artifact.data);
    measure(artifact);
    return record_it(artifact);
  };
}

}  // namespace polyphony::record
