#include <polyphony/text/tokenizer.h>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/json.h>
#include <polyphony/text/encode_run.h>
#include <polyphony/text/tokenizer_parts.h>

namespace polyphony::text {
namespace {

/// A workspace for the length of one call.
class Borrowed {
 public:
  explicit Borrowed(const TokenizerParts& parts) : parts_(parts) {
    const std::lock_guard lock(parts.mutex);
    if (parts.idle.empty()) {
      work_ = std::make_unique<Workspace>();
    } else {
      work_ = std::move(parts.idle.back());
      parts.idle.pop_back();
    }
  }
  ~Borrowed() {
    const std::lock_guard lock(parts_.mutex);
    parts_.idle.push_back(std::move(work_));
  }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
  Workspace& operator*() const { return *work_; }

 private:
  const TokenizerParts& parts_;
  std::unique_ptr<Workspace> work_;
};

/// Whether tokens of a text beyond the maximum are needed for nothing. The library leaves them out
/// of its overflow too.
TokenLimit limit_of(const Truncation& truncation, std::size_t which) {
  const bool cut = truncation.strategy != TruncationStrategy::kDoNotTruncate &&
                   (truncation.strategy != TruncationStrategy::kOnlySecond || which > 0);
  if (!cut) return {};
  return {truncation.max_length, truncation.side};
}

std::vector<std::vector<Window>> windows_of(std::span<const TokenRun* const> runs,
                                            const EncodeOptions& options,
                                            const PostProcessor& post_processor) {
  std::vector<std::size_t> sizes;
  for (const TokenRun* run : runs) sizes.push_back(run->ids.size());
  const Truncation& truncation = options.truncation;
  std::size_t length = truncation.max_length;
  if (truncation.strategy != TruncationStrategy::kDoNotTruncate && options.add_special_tokens) {
    const std::size_t added = post_processor.added(runs.size() > 1);
    if (length < added)
      throw ConfigError(
          fmt::format("tokenizer: max_length {} has no room for {} special tokens", length, added),
          "set a greater max_length");
    length -= added;
  }
  return truncate(sizes, truncation, length);
}

/// Lengths that the options leave to the tokenizer, filled in.
EncodeOptions resolve(EncodeOptions options, std::optional<std::size_t> model_maximum) {
  constexpr auto kRemedy = "set max_length, or model_max_length in tokenizer_config.json";
  const bool cuts = options.truncation.strategy != TruncationStrategy::kDoNotTruncate;
  if (cuts && options.truncation.max_length == 0) {
    if (!model_maximum)
      throw ConfigError("tokenizer: truncation without max_length, and the model names none",
                        kRemedy);
    options.truncation.max_length = *model_maximum;
  }
  if (options.padding.strategy == PaddingStrategy::kMaxLength && options.padding.length == 0) {
    if (!cuts && !model_maximum)
      throw ConfigError("tokenizer: padding to max_length, and the model names none", kRemedy);
    options.padding.length = cuts ? options.truncation.max_length : *model_maximum;
  }
  return options;
}

Encoding encode_unpadded(TextPair text, const EncodeOptions& options, const TokenizerParts& parts,
                         Workspace& work) {
  encode_run(text.first, parts, limit_of(options.truncation, 0), work, work.runs[0]);
  if (text.second)
    encode_run(*text.second, parts, limit_of(options.truncation, 1), work, work.runs[1]);
  const std::array<const TokenRun*, 2> all{&work.runs[0], &work.runs[1]};
  const auto runs = std::span(all).first(text.second ? 2 : 1);
  return parts.post_processor.assemble(runs, windows_of(runs, options, parts.post_processor),
                                       options.add_special_tokens);
}

}  // namespace

Tokenizer::Tokenizer(std::unique_ptr<TokenizerParts> parts) : parts_(std::move(parts)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::from_json(std::string_view json, const std::string& name) {
  const nlohmann::json document = parse_json(json, name);
  auto parts = std::make_unique<TokenizerParts>(JsonReader(document, name));
  parts->files["tokenizer.json"] = json;
  return Tokenizer(std::move(parts));
}

Encoding Tokenizer::encode(TextPair text, const EncodeOptions& given) const {
  const EncodeOptions options = resolve(given, parts_->max_length);
  const Borrowed work(*parts_);
  Encoding encoding = encode_unpadded(text, options, *parts_, *work);
  pad(std::span(&encoding, 1), options.padding);
  return encoding;
}

std::vector<Encoding> Tokenizer::encode_batch(std::span<const TextPair> texts,
                                              const EncodeOptions& given) const {
  const EncodeOptions options = resolve(given, parts_->max_length);
  const Borrowed work(*parts_);
  std::vector<Encoding> encodings;
  encodings.reserve(texts.size());
  for (const TextPair& text : texts)
    encodings.push_back(encode_unpadded(text, options, *parts_, *work));
  pad(encodings, options.padding);
  return encodings;
}

std::vector<Encoding> Tokenizer::encode_batch(std::span<const std::string> texts,
                                              const EncodeOptions& options) const {
  std::vector<TextPair> views;
  views.reserve(texts.size());
  for (const std::string& text : texts) views.push_back({text});
  return encode_batch(views, options);
}

std::string Tokenizer::decode(std::span<const std::uint32_t> ids, SpecialTokens special) const {
  std::vector<std::string> tokens;
  for (const std::uint32_t id : ids) {
    auto token = parts_->added.spelling_of(id);
    if (!token) token = parts_->model->vocabulary().token_of(id);
    if (!token) continue;
    if (special == SpecialTokens::kSkip && parts_->added.is_special(*token)) continue;
    tokens.emplace_back(*token);
  }
  const bool joined = parts_->decoder != nullptr;
  if (joined) tokens = parts_->decoder->decode(std::move(tokens));
  return fmt::format("{}", fmt::join(tokens, joined ? "" : " "));
}

std::optional<std::uint32_t> Tokenizer::id_of(std::string_view token) const {
  if (const auto id = parts_->added.id_of(token)) return id;
  return parts_->model->vocabulary().id_of(token);
}

std::optional<std::string> Tokenizer::token_of(std::uint32_t id) const {
  auto token = parts_->added.spelling_of(id);
  if (!token) token = parts_->model->vocabulary().token_of(id);
  if (!token) return std::nullopt;
  return std::string(*token);
}

std::size_t Tokenizer::size() const {
  const Vocabulary& vocabulary = parts_->model->vocabulary();
  std::size_t count = vocabulary.size();
  for (const auto& [id, token] : parts_->added.all())
    count += vocabulary.id_of(token.content) ? 0U : 1U;
  return count;
}

std::size_t Tokenizer::id_limit() const {
  std::size_t limit = 0;
  for (const auto& [token, id] : parts_->model->vocabulary().tokens())
    limit = std::max<std::size_t>(limit, id + 1);
  for (const auto& [id, token] : parts_->added.all()) limit = std::max<std::size_t>(limit, id + 1);
  return limit;
}

const EncodeOptions& Tokenizer::options() const { return parts_->options; }

EncodeOptions Tokenizer::options_of_length(std::size_t length) const {
  EncodeOptions options = parts_->options;
  options.truncation.strategy = TruncationStrategy::kLongestFirst;
  options.truncation.max_length = length;
  options.padding.strategy = PaddingStrategy::kMaxLength;
  options.padding.length = length;
  return options;
}

const EncodeOptions& Tokenizer::json_options() const { return parts_->json_options; }
std::optional<std::size_t> Tokenizer::max_length() const { return parts_->max_length; }

const std::map<std::string, std::string>& Tokenizer::special_tokens() const {
  return parts_->special_tokens;
}

std::optional<std::uint32_t> Tokenizer::pad_id() const {
  const auto token = parts_->special_tokens.find("pad_token");
  return token == parts_->special_tokens.end() ? std::nullopt : id_of(token->second);
}

void Tokenizer::save_pretrained(const std::filesystem::path& folder) const {
  make_directory(folder);
  for (const auto& [name, bytes] : parts_->files) write_file(folder / name, bytes);
}

}  // namespace polyphony::text
