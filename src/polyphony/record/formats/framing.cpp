#include <polyphony/record/formats/framing.h>

#include <fmt/format.h>

#include <polyphony/base/checksum.h>
#include <polyphony/base/error.h>

namespace polyphony::record {
namespace {

template <class T>
void put(std::string& bytes, T value) {  // little-endian
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    bytes += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i));
  }
}

template <class T>
T get(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  return static_cast<T>(value);
}

[[noreturn]] void damaged(const std::string& source, std::size_t offset) {
  throw DataError(fmt::format("{}: damaged at byte {}: the checksum is wrong", source, offset),
                  "take the file from where it was written again; what lies before that byte can "
                  "be read after `head -c`");
}

/// A CRC as TFRecord files keep it: rotated and offset, so that a CRC of CRCs is none by chance.
std::uint32_t masked_crc32c(std::string_view bytes) {
  const std::uint32_t value = crc32c(bytes);
  return (value >> 15 | value << 17) + 0xa282ead8U;
}

/// Bytes up to the last one that is not NUL.
std::size_t written_bytes(std::string_view content) { return content.find_last_not_of('\0') + 1; }

constexpr std::size_t kLength = 8;
constexpr std::size_t kCrc = 4;

// W&B's log.
constexpr std::size_t kBlock = 32768;
constexpr std::size_t kFragmentHeader = 7;
enum FragmentType { kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

std::string fragment(FragmentType type, std::string_view bytes) {
  const char name = static_cast<char>(type);
  std::string out;
  put(out, crc32(bytes, crc32({&name, 1})));
  put(out, static_cast<std::uint16_t>(bytes.size()));
  out += name;
  out += bytes;
  return out;
}

std::string wandb_header() {
  std::string header(":W&B\xe1\xbe");
  header += '\0';
  return header;
}

}  // namespace

std::string tfrecord_frame(std::string_view bytes) {
  std::string frame;
  put(frame, static_cast<std::uint64_t>(bytes.size()));
  put(frame, masked_crc32c(frame));
  frame += bytes;
  put(frame, masked_crc32c(bytes));
  return frame;
}

TfRecordReader::TfRecordReader(std::string_view content, std::string source)
    : content_(content), source_(std::move(source)), written_(written_bytes(content)) {}

std::optional<std::string_view> TfRecordReader::torn() {
  truncated_ = true;
  return std::nullopt;
}

std::optional<std::string_view> TfRecordReader::next() {
  const std::string_view rest = content_.substr(offset_);
  if (rest.empty()) return std::nullopt;
  if (rest.size() < kLength + kCrc) return torn();
  const std::string_view length = rest.substr(0, kLength);
  if (get<std::uint32_t>(rest.substr(kLength)) != masked_crc32c(length)) {
    if (written_ < offset_ + kLength + kCrc) return torn();
    damaged(source_, offset_);
  }
  const auto size = get<std::uint64_t>(length);
  if (size > rest.size() || rest.size() - size < kLength + 2 * kCrc) return torn();
  const std::string_view bytes = rest.substr(kLength + kCrc, size);
  if (get<std::uint32_t>(rest.substr(kLength + kCrc + size)) != masked_crc32c(bytes)) {
    if (written_ < offset_ + kLength + 2 * kCrc + size) return torn();
    damaged(source_, offset_);
  }
  offset_ += kLength + 2 * kCrc + size;
  return bytes;
}

std::string WandbLogWriter::frame(std::string_view bytes) {
  std::string out;
  if (offset_ == 0) out = wandb_header();
  std::size_t left = kBlock - (offset_ + out.size()) % kBlock;
  if (left < kFragmentHeader) {
    out.append(left, '\0');
    left = kBlock;
  }
  if (bytes.size() + kFragmentHeader <= left) {
    out += fragment(kFull, bytes);
  } else {
    FragmentType type = kFirst;
    while (bytes.size() + kFragmentHeader > left) {
      out += fragment(type, bytes.substr(0, left - kFragmentHeader));
      bytes.remove_prefix(left - kFragmentHeader);
      left = kBlock;
      type = kMiddle;
    }
    out += fragment(kLast, bytes);
  }
  offset_ += out.size();
  return out;
}

WandbLogReader::WandbLogReader(std::string_view content, std::string source)
    : content_(content), source_(std::move(source)), written_(written_bytes(content)) {
  const std::string header = wandb_header();
  if (content_.substr(0, header.size()) != header) {
    throw DataError(fmt::format("{}: no W&B log: it does not begin with W&B's header", source_),
                    "name the file run-ID.wandb of a directory offline-run-DATE_TIME-ID");
  }
  offset_ = header.size();
}

/// @param at  where to read; moves behind the fragment
std::optional<WandbLogReader::Fragment> WandbLogReader::next_fragment(std::size_t& at) {
  const std::size_t left = kBlock - at % kBlock;
  if (left < kFragmentHeader) at += left;
  if (at >= content_.size()) return std::nullopt;
  const std::string_view rest = content_.substr(at);
  const std::size_t size = rest.size() < kFragmentHeader ? 0 : get<std::uint16_t>(rest.substr(4));
  if (rest.size() < kFragmentHeader + size) {
    truncated_ = true;
    return std::nullopt;
  }
  const Fragment found{rest[6], rest.substr(kFragmentHeader, size)};
  if (get<std::uint32_t>(rest) !=
      crc32(rest.substr(kFragmentHeader, size), crc32(rest.substr(6, 1)))) {
    if (written_ >= at + kFragmentHeader + size) damaged(source_, at);
    truncated_ = true;
    return std::nullopt;
  }
  at += kFragmentHeader + size;
  return found;
}

std::optional<std::string> WandbLogReader::next() {
  std::size_t at = offset_;
  std::string bytes;
  for (bool begun = false;; begun = true) {
    const std::size_t place = at;
    const auto part = next_fragment(at);
    if (!part) {
      truncated_ = truncated_ || begun;
      return std::nullopt;
    }
    const bool begins = part->type == kFull || part->type == kFirst;
    if (begins == begun || part->type < kFull || part->type > kLast) damaged(source_, place);
    bytes += part->bytes;
    if (part->type == kFull || part->type == kLast) break;
  }
  offset_ = at;
  return bytes;
}

}  // namespace polyphony::record
