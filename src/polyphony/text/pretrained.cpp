#include <polyphony/text/pretrained.h>

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/text/json_reader.h>
#include <polyphony/text/tokenizer_parts.h>

namespace polyphony::text {
namespace {

using nlohmann::json;

constexpr std::array kNames = {"tokenizer.json",
                               "tokenizer_config.json",
                               "special_tokens_map.json",
                               "added_tokens.json",
                               "vocab.txt",
                               "vocab.json",
                               "merges.txt",
                               "sentencepiece.bpe.model"};

/// In the order in which Transformers adds them.
constexpr std::array kRoles = {"bos_token", "eos_token", "unk_token", "sep_token",
                               "pad_token", "cls_token", "mask_token"};

/// What a model's class calls a special token where no file says it.
std::string default_token(const std::string& tokenizer_class, const std::string& role) {
  if (tokenizer_class == "BertTokenizer") {
    static const std::map<std::string, std::string> kBert = {{"unk_token", "[UNK]"},
                                                             {"sep_token", "[SEP]"},
                                                             {"pad_token", "[PAD]"},
                                                             {"cls_token", "[CLS]"},
                                                             {"mask_token", "[MASK]"}};
    const auto found = kBert.find(role);
    return found == kBert.end() ? "" : found->second;
  }
  if (tokenizer_class == "RobertaTokenizer" || tokenizer_class == "XLMRobertaTokenizer") {
    static const std::map<std::string, std::string> kRoberta = {
        {"bos_token", "<s>"},    {"eos_token", "</s>"},  {"unk_token", "<unk>"},
        {"sep_token", "</s>"},   {"pad_token", "<pad>"}, {"cls_token", "<s>"},
        {"mask_token", "<mask>"}};
    return kRoberta.at(role);
  }
  return "";
}

/// The value of a special token's role: a string or a mapping with `content`; null where no file
/// has it.
json role_value(const PretrainedFiles& files, const std::string& role) {
  for (const json* source : {&files.special_tokens, &files.config}) {
    const auto found = source->find(role);
    if (found != source->end() && !found->is_null()) return *found;
  }
  return nullptr;
}

json entry_of(const json& value, bool special, const std::string& place) {
  const JsonReader reader(value, place);
  json entry = {{"content", ""},   {"single_word", false}, {"lstrip", false},
                {"rstrip", false}, {"normalized", false},  {"special", special}};
  if (value.is_string()) {
    entry["content"] = value;
    return entry;
  }
  entry["content"] = reader.at("content").string();
  for (const char* flag : {"single_word", "lstrip", "rstrip", "normalized"})
    entry[flag] = reader.boolean_or(flag, false);
  return entry;
}

/// Appends tokens that the files name beside tokenizer.json's own.
void add_missing_tokens(const PretrainedFiles& files, json& document) {
  json& added = document["added_tokens"];
  if (added.is_null()) added = json::array();
  std::vector<json> wanted;
  for (const char* role : kRoles) {
    json entry = special_token_entry(files, role, default_token(files.tokenizer_class, role));
    if (!entry.is_null()) wanted.push_back(std::move(entry));
  }
  const auto additional = role_value(files, "additional_special_tokens");
  for (const json& token : additional.is_array() ? additional : json::array())
    wanted.push_back(entry_of(token, true, files.place("special_tokens_map.json")));
  std::vector<std::pair<std::uint32_t, std::string>> others;
  for (const auto& [token, id] :
       JsonReader(files.added_tokens, files.place("added_tokens.json")).entries())
    others.emplace_back(id.natural(), token);
  std::sort(others.begin(), others.end());
  for (const auto& [id, token] : others) {
    json entry = entry_of(token, false, "");
    entry["normalized"] = true;
    wanted.push_back(std::move(entry));
  }
  for (json& entry : wanted) {
    const bool there = std::any_of(added.begin(), added.end(), [&](const json& token) {
      return token.is_object() && token.value("content", json()) == entry["content"];
    });
    if (!there) added.push_back(std::move(entry));
  }
}

/// Transformers' classes set a few switches of a tokenizer.json anew, from tokenizer_config.json or
/// by their own defaults.
void follow_config(const PretrainedFiles& files, json& document) {
  const JsonReader config(files.config, files.place("tokenizer_config.json"));
  const auto set = [](json& part, const char* key, const json& value) {
    if (part.is_object() && part.contains(key)) part[key] = value;
  };
  json& normalizer = document["normalizer"];
  if (files.tokenizer_class == "BertTokenizer" && normalizer.is_object()) {
    set(normalizer, "lowercase", config.boolean_or("do_lower_case", true));
    set(normalizer, "handle_chinese_chars", config.boolean_or("tokenize_chinese_chars", true));
    const auto strip = config.find("strip_accents");
    set(normalizer, "strip_accents", strip ? json(strip->boolean()) : json());
  }
  if (files.tokenizer_class == "RobertaTokenizer") {
    const bool prefix = config.boolean_or("add_prefix_space", false);
    set(document["pre_tokenizer"], "add_prefix_space", prefix);
    set(document["post_processor"], "add_prefix_space", prefix);
    set(document["post_processor"], "trim_offsets", config.boolean_or("trim_offsets", true));
  }
}

Side read_side(const JsonReader& config, const char* key, Side fallback) {
  const auto found = config.find(key);
  if (!found) return fallback;
  const std::string name = found->string();
  if (name != "left" && name != "right")
    found->fail(fmt::format("`{}`", name), "there are left and right");
  return name == "left" ? Side::kLeft : Side::kRight;
}

/// Lengths, sides and special tokens that stand outside tokenizer.json.
void read_config(const PretrainedFiles& files, TokenizerParts& parts) {
  const JsonReader config(files.config, files.place("tokenizer_config.json"));
  constexpr double kBoundless = 1e9;  // Transformers writes 1e30 where there is no limit
  const auto length = config.find("model_max_length");
  if (length && length->number() > 0 && length->number() < kBoundless)
    parts.max_length = static_cast<std::size_t>(length->number());
  Padding& padding = parts.options.padding;
  padding.side = read_side(config, "padding_side", padding.side);
  parts.options.truncation.side = read_side(config, "truncation_side", Side::kRight);
  if (const auto type = config.find("pad_token_type_id")) padding.type_id = type->natural();
  for (const char* role : kRoles) {
    const std::string token =
        special_token(files, role, default_token(files.tokenizer_class, role));
    if (token.empty()) continue;
    parts.special_tokens[role] = token;
    if (std::string_view(role) != "pad_token") continue;
    auto id = parts.added.id_of(token);
    if (!id) id = parts.model->vocabulary().id_of(token);
    if (id) padding.id = *id;
  }
}

std::string class_of(const PretrainedFiles& files, const json& model_config) {
  std::string name;
  for (const json* source : {&files.config, &model_config}) {
    const auto found = source->find("tokenizer_class");
    if (found != source->end() && found->is_string()) {
      name = found->get<std::string>();
      break;
    }
  }
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  if (!name.empty()) return name;
  const auto type = model_config.find("model_type");
  const std::string kind =
      type != model_config.end() && type->is_string() ? type->get<std::string>() : "";
  if (kind == "bert") return "BertTokenizer";
  if (kind == "roberta") return "RobertaTokenizer";
  if (kind == "xlm-roberta") return "XLMRobertaTokenizer";
  if (files.bytes.contains("tokenizer.json")) return "";
  if (files.bytes.contains("vocab.txt")) return "BertTokenizer";
  if (files.bytes.contains("merges.txt")) return "RobertaTokenizer";
  return files.bytes.contains("sentencepiece.bpe.model") ? "XLMRobertaTokenizer" : "";
}

}  // namespace

PretrainedFiles::PretrainedFiles(const std::filesystem::path& where) : folder(where) {
  if (!std::filesystem::is_directory(folder))
    throw IoError(fmt::format("{}: no such folder", folder.string()),
                  "name the folder that holds tokenizer.json");
  for (const char* name : kNames) {
    if (std::filesystem::exists(folder / name)) bytes[name] = read_file(folder / name);
  }
  const auto read_mapping = [&](const std::string& name, const std::string& text) {
    json value = parse_json(text, place(name));
    if (!value.is_object())
      throw DataError(place(name) + ": not a mapping", "fetch or save the tokenizer again");
    return value;
  };
  const auto read = [&](const std::string& name) {
    const auto found = bytes.find(name);
    return found == bytes.end() ? json::object() : read_mapping(name, found->second);
  };
  config = read("tokenizer_config.json");
  special_tokens = read("special_tokens_map.json");
  added_tokens = read("added_tokens.json");
  json model_config = json::object();
  if (std::filesystem::exists(folder / "config.json"))
    model_config = read_mapping("config.json", read_file(folder / "config.json"));
  tokenizer_class = class_of(*this, model_config);
}

std::string PretrainedFiles::place(const std::string& name) const {
  return (folder / name).string();
}

std::string special_token(const PretrainedFiles& files, const std::string& role,
                          const std::string& fallback) {
  const json entry = special_token_entry(files, role, fallback);
  return entry.is_null() ? "" : entry["content"].get<std::string>();
}

json special_token_entry(const PretrainedFiles& files, const std::string& role,
                         const std::string& fallback) {
  const json value = role_value(files, role);
  if (value.is_null() && fallback.empty()) return nullptr;
  json entry = entry_of(value.is_null() ? json(fallback) : value, true,
                        files.place("special_tokens_map.json") + ": " + role);
  // The mask stands for a word with the blank before it.
  const bool roberta =
      files.tokenizer_class == "RobertaTokenizer" || files.tokenizer_class == "XLMRobertaTokenizer";
  if (role == "mask_token" && roberta && !value.is_object()) entry["lstrip"] = true;
  return entry;
}

Tokenizer Tokenizer::from_pretrained(const std::filesystem::path& folder) {
  PretrainedFiles files(folder);
  const bool has_json = files.bytes.contains("tokenizer.json");
  const std::string name = files.place("tokenizer.json");
  json document =
      has_json ? parse_json(files.bytes["tokenizer.json"], name) : convert_older_files(files);
  if (!document.is_object())
    throw DataError(name + ": not a mapping", "fetch or save the tokenizer again");
  if (has_json) follow_config(files, document);
  add_missing_tokens(files, document);
  auto parts = std::make_unique<TokenizerParts>(JsonReader(document, name));
  read_config(files, *parts);
  parts->files = std::move(files.bytes);
  if (!has_json) parts->files["tokenizer.json"] = document.dump(2);
  return Tokenizer(std::move(parts));
}

}  // namespace polyphony::text
