#include <bit>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include <polyphony/base/base64.h>
#include <polyphony/base/error.h>
#include <polyphony/base/utf8.h>
#include <polyphony/text/pretrained.h>

namespace polyphony::text {
namespace {

using nlohmann::json;

/// One field of a protocol buffer. Source: the protobuf encoding, "Message Structure".
struct Field {
  std::uint32_t number = 0;
  std::uint64_t value = 0;  ///< of varints and fixed-size numbers
  std::string_view bytes;   ///< of strings and messages
};

class Message {
 public:
  Message(std::string_view bytes, const std::string& place) : rest_(bytes), place_(place) {}

  /// The next field. @return false at the end; @throws DataError where the message breaks off
  bool next(Field& field) {
    if (rest_.empty()) return false;
    const std::uint64_t tag = varint();
    field = {static_cast<std::uint32_t>(tag >> 3U), 0, {}};
    switch (tag & 7U) {
      case 0:
        field.value = varint();
        return true;
      case 1:
        field.value = fixed(8);
        return true;
      case 2:
        field.bytes = take(varint());
        return true;
      case 5:
        field.value = fixed(4);
        return true;
      default:
        fail();
    }
  }

 private:
  [[noreturn]] void fail() const {
    throw DataError(place_ + ": not a SentencePiece model",
                    "the file may be cut off: fetch or save the tokenizer again");
  }
  std::string_view take(std::uint64_t size) {
    if (size > rest_.size()) fail();
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  std::uint64_t fixed(std::size_t size) {
    std::uint64_t value = 0;
    std::memcpy(&value, take(size).data(), size);  // little-endian, as this machine is
    return value;
  }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
      if (byte < 0x80) return value;
    }
    fail();
  }

  std::string_view rest_;
  const std::string& place_;
};

struct SentencePieceModel {
  std::vector<std::pair<std::string, float>> pieces;
  std::uint64_t model_type = 1;  ///< 1: Unigram
  std::string charsmap;
};

SentencePieceModel read_model_file(std::string_view bytes, const std::string& place) {
  SentencePieceModel model;
  Message message(bytes, place);
  for (Field field; message.next(field);) {
    Message inner(field.bytes, place);
    Field item;
    if (field.number == 1) {
      auto& [piece, score] = model.pieces.emplace_back();
      while (inner.next(item)) {
        if (item.number == 1) piece = item.bytes;
        if (item.number == 2) score = std::bit_cast<float>(static_cast<std::uint32_t>(item.value));
      }
      if (valid_prefix(piece) != piece.size())
        throw DataError(fmt::format("{}: piece {} is not UTF-8", place, model.pieces.size() - 1),
                        "fetch or save the tokenizer again");
    } else if (field.number == 2) {
      while (inner.next(item)) {
        if (item.number == 3) model.model_type = item.value;
      }
    } else if (field.number == 3) {
      while (inner.next(item)) {
        if (item.number == 2) model.charsmap = item.bytes;
      }
    }
  }
  return model;
}

}  // namespace

/// Fairseq's vocabulary: `<s> <pad> </s> <unk>`, the pieces after the model's own first three, and
/// `<mask>` at the end.
json convert_sentencepiece(std::string_view bytes, const std::string& place) {
  SentencePieceModel model = read_model_file(bytes, place);
  constexpr std::size_t kOwn = 3;
  if (model.model_type != 1)
    throw DataError(place + ": not a Unigram model",
                    "load it with Transformers and save_pretrained it: that writes tokenizer.json");
  if (model.pieces.size() <= kOwn)
    throw DataError(fmt::format("{}: {} pieces", place, model.pieces.size()),
                    "the file may be cut off: fetch or save the tokenizer again");
  json vocabulary = json::array({{"<s>", 0.0}, {"<pad>", 0.0}, {"</s>", 0.0}, {"<unk>", 0.0}});
  for (std::size_t i = kOwn; i < model.pieces.size(); ++i)
    vocabulary.push_back(json::array(
        {std::move(model.pieces[i].first), static_cast<double>(model.pieces[i].second)}));
  vocabulary.push_back(json::array({"<mask>", 0.0}));
  json steps = json::array();
  if (!model.charsmap.empty())
    steps.push_back(
        {{"type", "Precompiled"}, {"precompiled_charsmap", encode_base64(model.charsmap)}});
  steps.push_back({{"type", "Replace"}, {"pattern", {{"Regex", " {2,}"}}}, {"content", " "}});
  const json metaspace = {{"type", "Metaspace"},
                          {"replacement", "\xE2\x96\x81"},
                          {"prepend_scheme", "always"},
                          {"split", true}};
  return {{"normalizer", {{"type", "Sequence"}, {"normalizers", std::move(steps)}}},
          {"pre_tokenizer", metaspace},
          {"post_processor",
           {{"type", "RobertaProcessing"},
            {"cls", {"<s>", 0}},
            {"sep", {"</s>", 2}},
            {"trim_offsets", false},
            {"add_prefix_space", true}}},
          {"decoder", metaspace},
          {"model", {{"type", "Unigram"}, {"unk_id", 3}, {"vocab", std::move(vocabulary)}}}};
}

}  // namespace polyphony::text
