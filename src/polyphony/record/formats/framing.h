#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// How TensorBoard and W&B cut their logs into records.

namespace polyphony::record {

/// One record of a TFRecord file: length, its masked CRC-32C, the bytes, their masked CRC-32C.
std::string tfrecord_frame(std::string_view bytes);

/// Records of a TFRecord file, one after the other. The last one may be torn: it is cut off, or the
/// file ends in the NULs that a power loss leaves where bytes were still to be written.
class TfRecordReader {
 public:
  /// @param content  the whole file, borrowed; @param source  name for messages
  TfRecordReader(std::string_view content, std::string source);
  /// nullopt at the end; a torn record ends the file too, and truncated() says so.
  /// @throws DataError naming file and offset where a checksum is wrong before that
  std::optional<std::string_view> next();
  bool truncated() const { return truncated_; }

 private:
  std::optional<std::string_view> torn();

  std::string_view content_;
  std::string source_;
  std::size_t written_;  ///< bytes up to the last one that is not NUL
  std::size_t offset_ = 0;
  bool truncated_ = false;
};

/// W&B's log: seven bytes of header, then leveldb's log format (blocks of 32 KiB; CRC-32 of type
/// and bytes, length, type) with zlib's CRC instead of leveldb's.
class WandbLogWriter {
 public:
  /// @param size  bytes that the log has already; 0: a new one, its header comes first
  explicit WandbLogWriter(std::size_t size) : offset_(size) {}
  /// What to append for this record.
  std::string frame(std::string_view bytes);

 private:
  std::size_t offset_;
};

class WandbLogReader {
 public:
  /// @param content  the whole file, borrowed; @param source  name for messages
  /// @throws DataError where it does not begin with W&B's header
  WandbLogReader(std::string_view content, std::string source);
  /// As TfRecordReader::next.
  std::optional<std::string> next();
  bool truncated() const { return truncated_; }
  /// Where the next record begins; after the last one, where a log that goes on is written.
  std::size_t offset() const { return offset_; }

 private:
  struct Fragment {
    int type = 0;
    std::string_view bytes;
  };
  std::optional<Fragment> next_fragment(std::size_t& at);

  std::string_view content_;
  std::string source_;
  std::size_t written_;  ///< bytes up to the last one that is not NUL
  std::size_t offset_ = 0;
  bool truncated_ = false;
};

}  // namespace polyphony::record
