// Hosts made of network namespaces on one machine: three of them on a bridge.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "dist/processes.h"
#include "scratch.h"

namespace polyphony::dist {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

int shell(const std::string& command) { return std::system((command + " 2>/dev/null").c_str()); }

/// Namespaces polyN-0.. with addresses 10.213.77.1.. on a bridge in a namespace of its own; nothing
/// of it touches the machine's own network.
class Network {
 public:
  explicit Network(int hosts) : hosts_(hosts) {
    // A run that was killed may have left its own.
    remove();
    ok_ = shell("ip netns add " + bridge()) == 0 &&
          shell(fmt::format("ip -n {0} link add br0 type bridge && ip -n {0} link set br0 up",
                            bridge())) == 0;
    for (int host = 0; ok_ && host < hosts_; ++host) {
      ok_ = shell(fmt::format("ip netns add {0} && "
                              "ip -n {0} link add eth0 type veth peer name port{1} netns {2} && "
                              "ip -n {2} link set port{1} master br0 up && "
                              "ip -n {0} addr add {3}/24 dev eth0 && ip -n {0} link set eth0 up && "
                              "ip -n {0} link set lo up",
                              name(host), host, bridge(), address(host))) == 0;
    }
  }
  ~Network() { remove(); }
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  bool ok() const { return ok_; }
  static std::string name(int host) { return fmt::format("poly{}-{}", getpid(), host); }
  static std::string address(int host) { return fmt::format("10.213.77.{}", host + 1); }
  /// The words before a command that runs on the host, under a host name of its own.
  static std::vector<std::string> on(int host) {
    return {"ip",       "netns",   "exec",
            name(host), "unshare", "--uts",
            "sh",       "-c",      fmt::format("hostname host{} && exec \"$@\"", host),
            "sh"};
  }
  void cut(int host) {
    ASSERT_EQ(shell(fmt::format("ip -n {} link set port{} down", bridge(), host)), 0);
  }

 private:
  static std::string bridge() { return fmt::format("poly{}-br", getpid()); }
  void remove() {
    for (int host = 0; host < hosts_; ++host) shell("ip netns del " + name(host));
    shell("ip netns del " + bridge());
  }

  int hosts_;
  bool ok_ = false;
};

class Hosts : public testing::Test {
 protected:
  static constexpr int kHosts = 3;

  void SetUp() override {
    network_ = std::make_unique<Network>(kHosts);
    if (!network_->ok()) {
      GTEST_SKIP() << "network namespaces need root and the package iproute2";
    }
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    directory_ = scratch_directory() / test->name();
    fs::remove_all(directory_);
    fs::create_directories(directory_);
  }

  /// A launcher on each host, one process each.
  void start(const std::string& timeout, const std::vector<std::string>& mode) {
    for (int host = 0; host < kHosts; ++host) {
      std::vector<std::string> command = Network::on(host);
      for (const std::string& word :
           {std::string("env"), std::string("NUM_NODES=3"), fmt::format("NODE_RANK={}", host),
            "MASTER_ADDR=" + Network::address(0), std::string("MASTER_PORT=29500"),
            std::string(POLYPHONY_DIST_WORKER), std::string("launch"), std::string("1"), timeout}) {
        command.push_back(word);
      }
      command.insert(command.end(), mode.begin(), mode.end());
      launchers_.push_back(
          std::make_unique<Process>(command, directory_ / fmt::format("output-{}", host)));
    }
  }

  std::unique_ptr<Network> network_;
  fs::path directory_;
  std::vector<std::unique_ptr<Process>> launchers_;
};

TEST_F(Hosts, ExchangeOverTheirNetwork) {
  start("60000", {"collectives"});
  for (const auto& launcher : launchers_) EXPECT_EQ(launcher->wait(), 0) << launcher->output();
}

TEST_F(Hosts, EndInTimeWhenOneIsCutOffInMidEpoch) {
  start("4000", {"work", directory_});
  for (int rank = 0; rank < kHosts; ++rank) {
    const fs::path path = directory_ / fmt::format("rank-{}.pid", rank);
    ASSERT_TRUE(eventually([&] { return fs::exists(path); })) << launchers_[rank]->output();
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  network_->cut(2);
  for (const auto& launcher : launchers_) EXPECT_EQ(launcher->wait(), 5) << launcher->output();
  for (const int rank : {0, 1}) {
    EXPECT_THAT(read_file(directory_ / fmt::format("rank-{}.error", rank)),
                HasSubstr("rank 2 (host host2) has not been heard of"));
  }
  // To the one that is cut off it is rank 0 that has gone.
  EXPECT_THAT(read_file(directory_ / "rank-2.error"), HasSubstr("rank 0 (host host0)"));
}

}  // namespace
}  // namespace polyphony::dist
