#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/util/intrusive_ptr.h>

#include <polyphony/base/world.h>
#include <polyphony/dist/peer_lost.h>
#include <polyphony/dist/reduction.h>

namespace c10d {
class ProcessGroup;
}
namespace c10::ivalue {
struct Future;
}

namespace polyphony::dist {

inline constexpr std::chrono::milliseconds kDefaultTimeout{60000};

/// The processes that train together, over Gloo. Every member calls the same functions in the same
/// order; each call throws PeerLost, naming rank and host, within the timeout if one of them
/// dies, hangs, fails or is cut off.
class ProcessGroup {
 public:
  /// Meets the others at world.master_addr. From then on SIGPIPE no longer ends the process.
  /// @param timeout      for each exchange, and for finding a loss: `dist_timeout`
  /// @param meet_within  for the meeting, which waits for programs to load
  /// @throws PeerLost naming the ranks that did not come; ConfigError if the port is taken
  static std::unique_ptr<ProcessGroup> join(
      const World& world, std::chrono::milliseconds timeout = kDefaultTimeout,
      std::chrono::milliseconds meet_within = kDefaultTimeout);
  /// Leaves. A process that ends by an error calls `fail` before, or the others learn only that it
  /// has ended.
  ~ProcessGroup();
  ProcessGroup(const ProcessGroup&) = delete;
  ProcessGroup& operator=(const ProcessGroup&) = delete;

  int rank() const;
  int size() const;
  const World& world() const;
  /// "rank 2 (host b)"
  std::string name(int rank) const;

  void broadcast(const at::Tensor& tensor, int root = 0);
  std::string broadcast(const std::string& text, int root = 0);
  /// In place: each element becomes the sum (or mean, least, largest) of all processes' ones.
  void all_reduce(const at::Tensor& tensor, Reduction reduction = Reduction::kSum);
  void all_reduce(std::span<double> values, Reduction reduction = Reduction::kSum);
  /// The largest of all.
  std::int64_t max(std::int64_t value);
  /// The rows of all, in rank order. Ranks may have different numbers of them.
  /// @param rows  [n, ...]; undefined if this process has none
  /// @returns [sum of n, ...]; undefined if nobody has any
  at::Tensor all_gather_rows(const at::Tensor& rows);
  /// One text of each rank, in rank order.
  std::vector<std::string> all_gather(const std::string& text);
  void barrier();

  /// This process ends by an error: the others end too, with these words.
  void fail(const std::string& error);

  // For DistributedDataParallel.

  /// Starts to sum in place. @returns a future of the tensor, or of PeerLost
  c10::intrusive_ptr<c10::ivalue::Future> begin_all_reduce(const at::Tensor& tensor);
  /// Throws what lies behind an error that an exchange ended with: PeerLost if a peer is lost
  /// or late.
  [[noreturn]] void explain(const std::string& error);
  /// True once an exchange has failed.
  bool broken() const;
  const c10::intrusive_ptr<c10d::ProcessGroup>& engine() const;

 private:
  struct Impl;
  explicit ProcessGroup(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace polyphony::dist
