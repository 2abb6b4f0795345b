#include <polyphony/dist/peer_watch.h>

#include <memory>

#include <gmock/gmock.h>

#include "dist/processes.h"

namespace polyphony::dist {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using namespace std::chrono_literals;

PeerWatch::Options options(int rank) {
  PeerWatch::Options options;
  options.rank = rank;
  options.hosts = {"a", "b", "c"};
  options.timeout = 20s;
  return options;
}

/// Three ranks of one process.
struct Three {
  Three() {
    Socket listener = listen_at("127.0.0.1");
    const int port = port_of(listener);
    ranks.push_back(std::make_unique<PeerWatch>(options(0), std::move(listener)));
    ranks.push_back(std::make_unique<PeerWatch>(options(1), "127.0.0.1", port));
    ranks.push_back(std::make_unique<PeerWatch>(options(2), "127.0.0.1", port));
    // All beat: every rank has said who it is.
    for (auto& rank : ranks) EXPECT_FALSE(rank->loss_within(50ms));
  }
  std::vector<std::unique_ptr<PeerWatch>> ranks;
};

TEST(PeerWatch, TellsAllWhoHasEnded) {
  Three three;
  three.ranks[2].reset();
  for (const int rank : {0, 1}) {
    const auto loss = three.ranks[rank]->loss_within(20s);
    ASSERT_TRUE(loss) << rank;
    EXPECT_EQ(loss->rank(), 2);
    EXPECT_THAT(loss->what(), StartsWith("rank 2 (host c) has ended"));
  }
}

TEST(PeerWatch, TellsAllInTheWordsOfTheOneThatFails) {
  Three three;
  three.ranks[1]->fail("data.csv:7: no such\nfile");
  three.ranks[1].reset();
  for (const int rank : {0, 2}) {
    const auto loss = three.ranks[rank]->loss_within(20s);
    ASSERT_TRUE(loss) << rank;
    EXPECT_THAT(loss->what(), StartsWith("rank 1 (host b) failed: data.csv:7: no such file"));
  }
}

TEST(PeerWatch, TellsOfRankZerosFailureToo) {
  Three three;
  three.ranks[0]->fail("out of memory");
  for (const int rank : {1, 2}) {
    const auto loss = three.ranks[rank]->loss_within(20s);
    ASSERT_TRUE(loss) << rank;
    EXPECT_THAT(loss->what(), StartsWith("rank 0 (host a) failed: out of memory"));
  }
}

TEST(PeerWatch, DoesNotMissThoseWhoLeave) {
  Three three;
  for (const int rank : {2, 0, 1}) {
    three.ranks[rank]->leave();
    three.ranks[rank].reset();
    for (auto& other : three.ranks) {
      if (other) {
        EXPECT_FALSE(other->loss_within(100ms));
      }
    }
  }
}

TEST(PeerWatch, KnowsWhoIsBehind) {
  Three three;
  for (const int rank : {0, 2}) {
    three.ranks[rank]->advance();
    three.ranks[rank]->advance();
  }
  three.ranks[1]->advance();
  const auto all_know = [&] {
    return three.ranks[0]->laggard() == 1 && three.ranks[2]->laggard() == 1 &&
           three.ranks[1]->laggard() == std::nullopt;
  };
  // Each says so once a second; a loaded machine delays the news.
  EXPECT_TRUE(eventually(all_know));
}

TEST(PeerWatch, LosesASilentRankAndGivesUpOnAThreadThatDoesNotLeave) {
  Socket listener = listen_at("127.0.0.1");
  PeerWatch::Options silent = options(0);
  silent.hosts = {"a", "b"};
  silent.timeout = 400ms;
  std::atomic<int> given_up = -1;
  silent.give_up = [&](const PeerLost& loss) { given_up = loss.rank(); };
  PeerWatch watch(silent, std::move(listener));  // rank 1 never comes
  const auto loss = watch.loss_within(20s);
  ASSERT_TRUE(loss);
  EXPECT_THAT(loss->what(), HasSubstr("rank 1 (host b) has not been heard of"));
  EXPECT_TRUE(eventually([&] { return given_up == 1; }));
}

}  // namespace
}  // namespace polyphony::dist
