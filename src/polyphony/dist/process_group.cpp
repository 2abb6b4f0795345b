#include <polyphony/dist/process_group.h>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <unordered_map>
#include <utility>

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <polyphony/base/notice.h>
#include <polyphony/dist/engine.h>
#include <polyphony/dist/peer_watch.h>
#include <polyphony/record/host.h>

namespace polyphony::dist {
namespace {

using Future = c10::ivalue::Future;
using FuturePtr = c10::intrusive_ptr<Future>;
using std::chrono::milliseconds;

/// Exchanges under way. Each ends once: when the engine says so or when a peer is lost, whichever
/// comes first.
class Outstanding {
 public:
  FuturePtr add(std::uint64_t& id) {
    auto future = c10::make_intrusive<Future>(c10::TensorType::get());
    const std::lock_guard<std::mutex> lock(mutex_);
    id = next_++;
    if (lost_) {
      future->setError(lost_);
    } else {
      futures_.emplace(id, future);
    }
    return future;
  }

  /// @returns null if it has ended before
  FuturePtr take(std::uint64_t id) {
    const std::lock_guard<std::mutex> lock(mutex_);
    auto node = futures_.extract(id);
    return node.empty() ? FuturePtr() : std::move(node.mapped());
  }

  void lose(const PeerLost& loss) {
    std::unordered_map<std::uint64_t, FuturePtr> ended;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      lost_ = std::make_exception_ptr(loss);
      ended.swap(futures_);
    }
    for (auto& [id, future] : ended) future->setError(lost_);
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::uint64_t, FuturePtr> futures_;
  std::uint64_t next_ = 0;
  std::exception_ptr lost_;
};

double seconds(milliseconds time) { return static_cast<double>(time.count()) / 1000; }

std::vector<std::uint8_t> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

std::string text_of(c10d::Store& store, const std::string& key) {
  const std::vector<std::uint8_t> bytes = store.get(key);
  return {bytes.begin(), bytes.end()};
}

c10::intrusive_ptr<c10d::Store> open_store(const World& world, milliseconds timeout) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(world.master_port);
  options.isServer = world.rank == 0;
  options.numWorkers = world.size;
  options.waitWorkers = false;  // we wait ourselves, and say who is missing
  options.timeout = timeout;
  try {
    return c10::make_intrusive<c10d::TCPStore>(world.master_addr, options);
  } catch (const std::exception& error) {
    if (world.rank == 0) {
      throw ConfigError(
          fmt::format("cannot listen on port {} for the other processes: {}", world.master_port,
                      error.what()),
          "another run may use it: set MASTER_PORT to a free one, the same for all processes");
    }
    throw PeerLost(0, fmt::format("rank 0 does not answer at {}:{} (MASTER_ADDR:MASTER_PORT) "
                                  "within {} s",
                                  world.master_addr, world.master_port, seconds(timeout)));
  }
}

std::string host_key(int rank) { return fmt::format("host/{}", rank); }

/// Throws who is missing.
[[noreturn]] void not_all_came(c10d::Store& store, const World& world, milliseconds timeout) {
  std::vector<int> absent;
  try {
    for (int rank = 0; rank < world.size; ++rank) {
      if (!store.check({host_key(rank)})) absent.push_back(rank);
    }
  } catch (const std::exception&) {
    throw PeerLost(0, "rank 0 has ended before all processes had come");
  }
  throw PeerLost(
      absent.empty() ? -1 : absent.front(),
      fmt::format("rank {} of {} did not come to {}:{} within {} s", fmt::join(absent, ", "),
                  world.size, world.master_addr, world.master_port, seconds(timeout)));
}

/// Host names by rank, once all have come.
std::vector<std::string> meet(c10d::Store& store, const World& world, milliseconds timeout) {
  std::vector<std::string> keys, hosts;
  for (int rank = 0; rank < world.size; ++rank) keys.push_back(host_key(rank));
  try {
    store.set(host_key(world.rank), bytes_of(record::host_name()));
    store.wait(keys, timeout);
  } catch (const std::exception&) {
    not_all_came(store, world, timeout);
  }
  for (const std::string& key : keys) hosts.push_back(text_of(store, key));
  return hosts;
}

/// This host's address that the others reach.
std::string own_address(const World& world) {
  std::string address = address_towards(world.master_addr);
  if (!is_loopback(address) || world.local_size == world.size) return address;
  // The host's own name often means its loopback; those on other hosts need another address.
  const std::string outside = outside_address();
  return outside.empty() ? address : outside;
}

c10::intrusive_ptr<c10d::ProcessGroup> open_engine(const c10::intrusive_ptr<c10d::Store>& store,
                                                   const World& world, const std::string& address,
                                                   milliseconds timeout) {
  using Gloo = c10d::ProcessGroupGloo;
  auto options = Gloo::Options::create(timeout);
  const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
  options->devices.push_back(interface != nullptr ? Gloo::createDeviceForInterface(interface)
                                                  : Gloo::createDeviceForHostname(address));
  options->threads = 2;
  return group_over(store, c10::make_intrusive<Gloo>(store, world.rank, world.size, options));
}

std::unique_ptr<PeerWatch> open_watch(c10d::Store& store, PeerWatch::Options options,
                                      const std::string& address) {
  if (options.rank == 0) {
    Socket listener = listen_at(address);
    store.set("watch/port", bytes_of(std::to_string(port_of(listener))));
    store.set("watch/address", bytes_of(address));
    return std::make_unique<PeerWatch>(std::move(options), std::move(listener));
  }
  const int port = std::stoi(text_of(store, "watch/port"));
  return std::make_unique<PeerWatch>(std::move(options), text_of(store, "watch/address"), port);
}

[[noreturn]] void end_process(const PeerLost& loss) {
  note("polyphony: {}", loss.what());
  std::_Exit(static_cast<int>(loss.exit_code()));
}

/// Gloo writes to the connections of processes that are gone.
void outlive_lost_peers() {
  struct sigaction now {};
  sigaction(SIGPIPE, nullptr, &now);
  // A handler, not SIG_IGN, which the programs that this one starts would inherit.
  if (now.sa_handler == SIG_DFL) std::signal(SIGPIPE, [](int) {});
}

}  // namespace

struct ProcessGroup::Impl {
  World world;
  milliseconds timeout;
  std::shared_ptr<Outstanding> outstanding = std::make_shared<Outstanding>();
  std::shared_ptr<std::atomic<bool>> broken = std::make_shared<std::atomic<bool>>(false);
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::ProcessGroup> engine;
  std::unique_ptr<PeerWatch> watch;

  FuturePtr begin(const c10::intrusive_ptr<c10d::Work>& work, at::Tensor result) {
    std::uint64_t id = 0;
    FuturePtr future = outstanding->add(id);
    work->getFuture()->addCallback(
        [out = outstanding, id, flag = broken, result = std::move(result)](Future& done) {
          const FuturePtr ours = out->take(id);
          if (!ours) return;
          if (done.hasError()) {
            flag->store(true);
            ours->setError(done.exception_ptr());
          } else {
            ours->markCompleted(c10::IValue(result));
          }
        });
    return future;
  }

  [[noreturn]] void explain(const std::string& error) {
    broken->store(true);
    const bool late =
        error.find("imed out") != std::string::npos || error.find("timeout") != std::string::npos;
    constexpr milliseconds kAtOnce{0};
    if (auto loss = watch->loss_within(late ? kAtOnce : watch->detection_time())) throw *loss;
    if (const auto rank = watch->laggard()) {
      throw PeerLost(*rank, fmt::format("{} is alive but did not come to the exchange that the "
                                        "others wait in within dist_timeout ({} s)",
                                        watch->name(*rank), seconds(timeout)));
    }
    throw PeerLost(-1, fmt::format("{}: an exchange with the other processes failed: {}",
                                   watch->name(world.rank), error));
  }

  /// Waits for an exchange that `start` begins.
  template <typename Start>
  void exchange(Start start) {
    watch->advance();
    FuturePtr future;
    try {
      future = begin(start(), at::Tensor());
    } catch (const std::exception& error) {
      explain(error.what());
    }
    future->wait();
    if (!future->hasError()) return;
    try {
      std::rethrow_exception(future->exception_ptr());
    } catch (const PeerLost&) {
      throw;
    } catch (const std::exception& error) {
      explain(error.what());
    }
  }
};

std::unique_ptr<ProcessGroup> ProcessGroup::join(const World& world, milliseconds timeout,
                                                 milliseconds meet_within) {
  outlive_lost_peers();
  auto impl = std::make_unique<Impl>();
  impl->world = world;
  impl->timeout = timeout;
  impl->store = open_store(world, meet_within);
  PeerWatch::Options options;
  options.rank = world.rank;
  options.timeout = timeout;
  options.hosts = meet(*impl->store, world, meet_within);
  options.give_up = end_process;
  options.on_loss = [outstanding = impl->outstanding, broken = impl->broken](const PeerLost& loss) {
    broken->store(true);
    outstanding->lose(loss);
  };
  const std::string address = own_address(world);
  impl->watch = open_watch(*impl->store, std::move(options), address);
  try {
    impl->engine = open_engine(impl->store, world, address, timeout);
  } catch (const std::exception& error) {
    impl->explain(error.what());
  }
  return std::unique_ptr<ProcessGroup>(new ProcessGroup(std::move(impl)));
}

ProcessGroup::ProcessGroup(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ProcessGroup::~ProcessGroup() {
  if (std::uncaught_exceptions() > 0) fail("ended by an error");
  if (!*impl_->broken) {
    impl_->watch->leave();
    return;
  }
  // The engine's threads may wait for a lost peer up to the timeout, and its destructor for them:
  // a process that ends does not.
  impl_->engine.release();
  impl_->store.release();
}

int ProcessGroup::rank() const { return impl_->world.rank; }
int ProcessGroup::size() const { return impl_->world.size; }
const World& ProcessGroup::world() const { return impl_->world; }
std::string ProcessGroup::name(int rank) const { return impl_->watch->name(rank); }
bool ProcessGroup::broken() const { return *impl_->broken; }
const c10::intrusive_ptr<c10d::ProcessGroup>& ProcessGroup::engine() const { return impl_->engine; }
void ProcessGroup::explain(const std::string& error) { impl_->explain(error); }

void ProcessGroup::fail(const std::string& error) {
  impl_->broken->store(true);
  impl_->watch->fail(error);
}

void ProcessGroup::broadcast(const at::Tensor& tensor, int root) {
  std::vector<at::Tensor> tensors = {tensor};
  c10d::BroadcastOptions options;
  options.rootRank = root;
  impl_->exchange([&] { return impl_->engine->broadcast(tensors, options); });
}

std::string ProcessGroup::broadcast(const std::string& text, int root) {
  at::Tensor length = at::tensor(static_cast<std::int64_t>(text.size()));
  broadcast(length, root);
  at::Tensor bytes = at::empty({length.item<std::int64_t>()}, at::kByte);
  if (rank() == root) std::copy(text.begin(), text.end(), bytes.data_ptr<std::uint8_t>());
  if (bytes.numel() == 0) return "";
  broadcast(bytes, root);
  return {bytes.data_ptr<std::uint8_t>(), bytes.data_ptr<std::uint8_t>() + bytes.numel()};
}

void ProcessGroup::all_reduce(const at::Tensor& tensor, Reduction reduction) {
  std::vector<at::Tensor> tensors = {tensor};
  c10d::AllreduceOptions options;
  if (reduction == Reduction::kMin) options.reduceOp = c10d::ReduceOp::MIN;
  if (reduction == Reduction::kMax) options.reduceOp = c10d::ReduceOp::MAX;
  impl_->exchange([&] { return impl_->engine->allreduce(tensors, options); });
  if (reduction == Reduction::kMean) tensors.front().div_(size());
}

FuturePtr ProcessGroup::begin_all_reduce(const at::Tensor& tensor) {
  impl_->watch->advance();
  std::vector<at::Tensor> tensors = {tensor};
  try {
    return impl_->begin(impl_->engine->allreduce(tensors), tensor);
  } catch (const std::exception&) {
    *impl_->broken = true;  // a connection that is reset already fails here; others, later
    throw;
  }
}

void ProcessGroup::all_reduce(std::span<double> values, Reduction reduction) {
  all_reduce(at::from_blob(values.data(), {std::ssize(values)}, at::kDouble), reduction);
}

std::int64_t ProcessGroup::max(std::int64_t value) {
  const at::Tensor largest = at::tensor(value);
  all_reduce(largest, Reduction::kMax);
  return largest.item<std::int64_t>();
}

namespace {

/// What the others must know of a process's rows: their number, dtype and shape.
constexpr std::int64_t kMostDims = 8;
constexpr std::int64_t kHeader = 3 + kMostDims;

at::Tensor header_of(const at::Tensor& rows) {
  at::Tensor header = at::zeros({kHeader}, at::kLong);
  if (!rows.defined()) return header;
  auto* to = header.data_ptr<std::int64_t>();
  to[0] = rows.size(0);
  to[1] = static_cast<std::int64_t>(rows.scalar_type());
  to[2] = rows.dim();
  TORCH_CHECK(rows.dim() >= 1 && rows.dim() <= kMostDims, "rows of ", rows.dim(), " dimensions");
  std::copy(rows.sizes().begin(), rows.sizes().end(), to + 3);
  return header;
}

}  // namespace

at::Tensor ProcessGroup::all_gather_rows(const at::Tensor& rows) {
  const auto gather = [&](at::Tensor mine) {
    std::vector<std::vector<at::Tensor>> all(1);
    for (int i = 0; i < size(); ++i) all.front().push_back(at::empty_like(mine));
    std::vector<at::Tensor> input = {std::move(mine)};
    impl_->exchange([&] { return impl_->engine->allgather(all, input); });
    return std::move(all.front());
  };
  const std::vector<at::Tensor> headers = gather(header_of(rows));
  std::int64_t most = 0;
  const std::int64_t* model = nullptr;
  for (const at::Tensor& header : headers) {
    const auto* from = header.data_ptr<std::int64_t>();
    if (from[2] > 0 && (model == nullptr || from[0] > most)) model = from;
    most = std::max(most, from[0]);
  }
  if (model == nullptr) return {};
  std::vector<std::int64_t> shape(model + 3, model + 3 + model[2]);
  at::Tensor padded = at::zeros(shape, static_cast<at::ScalarType>(model[1]));
  if (rows.defined()) padded.narrow(0, 0, rows.size(0)).copy_(rows);
  std::vector<at::Tensor> all = most > 0 ? gather(padded) : std::vector<at::Tensor>{padded};
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i] = all[i].narrow(0, 0, headers[i].data_ptr<std::int64_t>()[0]);
  }
  return at::cat(all);
}

std::vector<std::string> ProcessGroup::all_gather(const std::string& text) {
  at::Tensor bytes = at::empty({std::ssize(text)}, at::kByte);
  std::copy(text.begin(), text.end(), bytes.data_ptr<std::uint8_t>());
  const at::Tensor lengths = all_gather_rows(at::tensor({std::ssize(text)}));
  const at::Tensor all = all_gather_rows(bytes);
  const auto* from = reinterpret_cast<const char*>(all.data_ptr<std::uint8_t>());
  std::vector<std::string> texts;
  for (int i = 0; i < size(); ++i) {
    const std::int64_t length = lengths.data_ptr<std::int64_t>()[i];
    texts.emplace_back(from, static_cast<std::size_t>(length));
    from += length;
  }
  return texts;
}

void ProcessGroup::barrier() { max(0); }

}  // namespace polyphony::dist
