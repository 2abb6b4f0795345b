#include <polyphony/data/embedding_cache.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <limits>
#include <set>

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <gmock/gmock.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include "../scratch.h"

namespace polyphony::data {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

/// Embedding number n: [n % 7 + 1, 4] of numbers that are n's own.
at::Tensor embedding(int n) {
  const int positions = n % 7 + 1;
  return at::arange(positions * 4, at::kFloat).div(8).add(n).view({positions, 4});
}

std::string key(int n) { return "key" + std::to_string(n); }

class EmbeddingCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = scratch_directory() / "embeddings";
    fs::remove_all(directory_);
  }

  EmbeddingCacheOptions options() const {
    EmbeddingCacheOptions options;
    options.directory = directory_.string();
    return options;
  }

  /// Writes embeddings [from, to) as one shard and returns its file.
  fs::path shard_of(int from, int to) const {
    std::set<fs::path> before = shards();
    {
      EmbeddingCache cache(options());
      for (int n = from; n < to; ++n) cache.put(key(n), embedding(n));
    }
    for (const fs::path& path : shards()) {
      if (!before.contains(path)) return path;
    }
    return {};
  }

  std::set<fs::path> shards() const {
    std::set<fs::path> paths;
    if (!fs::exists(directory_)) return paths;
    for (const auto& file : fs::directory_iterator(directory_)) {
      if (file.path().extension() == ".safetensors") paths.insert(file.path());
    }
    return paths;
  }

  static void expect_found(EmbeddingCache& cache, int n) {
    const auto found = cache.find(key(n));
    ASSERT_TRUE(found.has_value()) << n;
    EXPECT_TRUE(at::equal(*found, embedding(n))) << n;
  }

  /// Makes a shard look unused for so many hours.
  static void age(const fs::path& path, int hours) {
    fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(hours));
  }

  fs::path directory_;
};

TEST_F(EmbeddingCacheTest, GivesBackWhatWasPutBeforeAndAfterItIsWritten) {
  EmbeddingCache cache(options());
  EXPECT_FALSE(cache.has(key(3)));
  cache.put(key(3), embedding(3));
  EXPECT_TRUE(cache.has(key(3)));
  expect_found(cache, 3);
  EXPECT_THAT(shards(), IsEmpty());
  cache.flush();
  EXPECT_THAT(shards(), SizeIs(1));
  expect_found(cache, 3);
  EXPECT_FALSE(cache.find(key(4)).has_value());
}

TEST_F(EmbeddingCacheTest, OutlivesItsWriter) {
  shard_of(0, 20);
  EmbeddingCache cache(options());
  for (int n = 0; n < 20; ++n) expect_found(cache, n);
}

TEST_F(EmbeddingCacheTest, AnEmbeddingOutlivesTheCacheAndIsOnesOwnToWriteIn) {
  shard_of(0, 1);
  at::Tensor mine;
  {
    EmbeddingCache cache(options());
    mine = *cache.find(key(0));
  }
  mine.fill_(7);
  EmbeddingCache again(options());
  expect_found(again, 0);
}

TEST_F(EmbeddingCacheTest, Bfloat16TakesHalfTheSpaceAndKeepsEightBits) {
  EmbeddingCacheOptions half = options();
  half.dtype = EmbeddingType::kBfloat16;
  EmbeddingCache cache(half);
  const at::Tensor values = at::full({100, 40}, 1.00390625 + 1.0 / 4096);
  cache.put("k", values);
  cache.flush();
  const at::Tensor found = *cache.find("k");
  EXPECT_EQ(found.scalar_type(), at::kFloat);
  EXPECT_NEAR(found[0][0].item<double>(), values[0][0].item<double>(), 1.0 / 128);
  EXPECT_LT(cache.size_on_disk(), 100 * 40 * 2 + 512);
}

TEST_F(EmbeddingCacheTest, AFullBufferIsWrittenByItself) {
  EmbeddingCacheOptions small = options();
  small.shard_mb = 1e-4;  // 100 bytes
  EmbeddingCache cache(small);
  for (int n = 0; n < 20; ++n) cache.put(key(n), embedding(n));
  EXPECT_GT(shards().size(), 5U);
  for (int n = 0; n < 20; ++n) expect_found(cache, n);
}

TEST_F(EmbeddingCacheTest, RefusesWhatIsNotFinite) {
  EmbeddingCache cache(options());
  EXPECT_THROW(cache.put("k", at::full({2, 2}, std::numeric_limits<float>::quiet_NaN())),
               DataError);
}

TEST_F(EmbeddingCacheTest, SeveralProcessesWriteAtOnceAndNothingIsLost) {
  constexpr int kWriters = 4;
  constexpr int kItems = 60;
  std::vector<pid_t> writers;
  for (int writer = 0; writer < kWriters; ++writer) {
    const pid_t pid = fork();
    if (pid != 0) {
      writers.push_back(pid);
      continue;
    }
    EmbeddingCacheOptions small = options();
    small.shard_mb = 5e-4;
    int code = 0;
    try {
      EmbeddingCache cache(small);
      // Overlapping ranges: two writers of one embedding are no harm.
      for (int n = writer * kItems / 2; n < writer * kItems / 2 + kItems; ++n) {
        cache.put(key(n), embedding(n));
      }
      cache.flush();
    } catch (const std::exception&) {
      code = 1;
    }
    _exit(code);
  }
  for (const pid_t pid : writers) {
    int status = 0;
    waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EmbeddingCache cache(options());
  for (int n = 0; n < (kWriters + 1) * kItems / 2; ++n) expect_found(cache, n);
  EXPECT_THAT(cache.complaints(), IsEmpty());
}

TEST_F(EmbeddingCacheTest, AWriterKilledAtAnyInstantLeavesWholeShards) {
  for (int round = 0; round < 4; ++round) {
    const std::size_t before = shards().size();
    const pid_t pid = fork();
    if (pid == 0) {
      EmbeddingCacheOptions small = options();
      small.shard_mb = 5e-4;
      EmbeddingCache cache(small);
      for (int n = round * 100000;; ++n) cache.put(key(n), embedding(n));
    }
    while (shards().size() < before + 5 + static_cast<std::size_t>(round)) ::usleep(200);
    ::kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  EmbeddingCache cache(options());
  EXPECT_EQ(cache.verify(), 0U);
  EXPECT_THAT(cache.complaints(), IsEmpty());
  expect_found(cache, 300000);
  // The next writer clears away what the killed ones had begun.
  cache.put("last", embedding(1));
  cache.flush();
  for (const auto& file : fs::directory_iterator(directory_)) {
    EXPECT_EQ(file.path().string().find(".tmp-"), std::string::npos) << file.path();
  }
}

TEST_F(EmbeddingCacheTest, SeesShardsOfOtherWritersAfterRefresh) {
  EmbeddingCache cache(options());
  shard_of(0, 3);
  EXPECT_FALSE(cache.has(key(1)));
  cache.refresh();
  expect_found(cache, 1);
}

TEST_F(EmbeddingCacheTest, EvictsTheLeastRecentlyUsedShards) {
  const fs::path oldest = shard_of(0, 10);
  const fs::path older = shard_of(10, 20);
  const fs::path newer = shard_of(20, 30);
  age(oldest, 1);  // written first, but used since
  age(older, 3);
  age(newer, 2);
  EmbeddingCacheOptions tight = options();
  tight.limit_gb = static_cast<double>(fs::file_size(oldest) * 3 + 100) / 1e9;
  EmbeddingCache cache(tight);
  for (int n = 30; n < 38; ++n) cache.put(key(n), embedding(n));
  cache.flush();
  EXPECT_TRUE(fs::exists(oldest));
  EXPECT_FALSE(fs::exists(older));
  EXPECT_TRUE(fs::exists(newer));
  EXPECT_FALSE(cache.has(key(10)));
  EXPECT_LE(static_cast<double>(cache.size_on_disk()), tight.limit_gb * 1e9);
}

TEST_F(EmbeddingCacheTest, NeverEvictsAShardInUse) {
  const fs::path used = shard_of(0, 10);
  const fs::path idle = shard_of(10, 20);
  EmbeddingCache reader(options());
  ASSERT_TRUE(reader.has(key(0)));
  age(used, 5);
  age(idle, 1);
  EmbeddingCacheOptions tight = options();
  tight.limit_gb = static_cast<double>(fs::file_size(used) * 2 + 100) / 1e9;
  EmbeddingCache writer(tight);
  for (int n = 20; n < 28; ++n) writer.put(key(n), embedding(n));
  writer.flush();
  EXPECT_TRUE(fs::exists(used));
  EXPECT_FALSE(fs::exists(idle));
  for (int n = 0; n < 10; ++n) expect_found(reader, n);
}

TEST_F(EmbeddingCacheTest, AFullCacheSaysWhatToRaise) {
  const fs::path used = shard_of(0, 10);
  EmbeddingCache reader(options());
  ASSERT_TRUE(reader.has(key(0)));
  EmbeddingCacheOptions tight = options();
  tight.limit_gb = static_cast<double>(fs::file_size(used) + 100) / 1e9;
  EmbeddingCache writer(tight);
  writer.put(key(20), embedding(20));
  try {
    writer.flush();
    FAIL() << "must be full";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("cache is full"));
    EXPECT_THAT(error.what(), HasSubstr("embeddings.limit_gb"));
  }
}

TEST_F(EmbeddingCacheTest, AShardThatWasEvictedMeanwhileIsAbsent) {
  const fs::path shard = shard_of(0, 3);
  EmbeddingCache cache(options());
  EXPECT_GT(evict_shard(shard), 0U);
  EXPECT_FALSE(cache.has(key(0)));
  EXPECT_FALSE(cache.find(key(1)).has_value());
}

TEST_F(EmbeddingCacheTest, ATruncatedShardIsSetAsideAndItsEmbeddingsAreAbsent) {
  const fs::path shard = shard_of(0, 10);
  const fs::path whole = shard_of(10, 20);
  for (const double part : {0.9, 0.3, 0.001}) {
    const std::string bytes = read_file(shard);
    write_file(directory_ / "cut.safetensors",
               std::string_view(bytes).substr(
                   0, static_cast<std::size_t>(static_cast<double>(bytes.size()) * part)));
    EmbeddingCache cache(options());
    EXPECT_THAT(cache.complaints(), SizeIs(1)) << part;
    EXPECT_THAT(cache.complaints()[0], HasSubstr("truncated"));
    EXPECT_THAT(cache.complaints()[0], HasSubstr("cut.safetensors.damaged"));
    EXPECT_FALSE(fs::exists(directory_ / "cut.safetensors"));
    expect_found(cache, 15);
  }
}

TEST_F(EmbeddingCacheTest, AChangedByteIsFoundOnTheFirstReadingAndComputedAgain) {
  const fs::path shard = shard_of(0, 10);
  std::fstream file(shard, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-3, std::ios::end);
  file.put('\x5a');
  file.close();
  {
    EmbeddingCache cache(options());
    int damaged = 0;
    for (int n = 0; n < 10; ++n) damaged += cache.find(key(n)) ? 0 : 1;
    EXPECT_GE(damaged, 1);
    ASSERT_THAT(cache.complaints(), SizeIs(1));
    EXPECT_THAT(cache.complaints()[0], HasSubstr("checksum"));
    for (int n = 0; n < 10; ++n) {
      if (!cache.has(key(n))) cache.put(key(n), embedding(n));
    }
    cache.flush();
    for (int n = 0; n < 10; ++n) expect_found(cache, n);
  }
  EXPECT_TRUE(fs::exists(shard.string() + ".damaged"));
}

TEST_F(EmbeddingCacheTest, VerifyReadsEveryShard) {
  shard_of(0, 10);
  const fs::path broken = shard_of(10, 20);
  std::fstream file(broken, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-1, std::ios::end);
  file.put('\x5a');
  file.close();
  EmbeddingCache cache(options());
  EXPECT_EQ(cache.verify(), 1U);
  EXPECT_FALSE(fs::exists(broken));
  EXPECT_EQ(cache.verify(), 0U);
}

TEST_F(EmbeddingCacheTest, AFileThatIsNoShardIsSetAside) {
  fs::create_directories(directory_);
  write_file(directory_ / "notes.safetensors", "this is no shard at all, only some text");
  EmbeddingCache cache(options());
  EXPECT_THAT(cache.complaints(), SizeIs(1));
}

TEST_F(EmbeddingCacheTest, WhatIsWholeInADamagedShardIsWrittenAnew) {
  const fs::path shard = shard_of(0, 10);
  std::fstream file(shard, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-3, std::ios::end);
  file.put('\x5a');
  file.close();
  {
    EmbeddingCache cache(options());
    int lost = 0;
    for (int n = 0; n < 10; ++n) lost += cache.find(key(n)) ? 0 : 1;
    EXPECT_EQ(lost, 1);
    ASSERT_THAT(cache.complaints(), SizeIs(1));
    EXPECT_THAT(cache.complaints()[0], HasSubstr("1 of 10 embeddings are damaged"));
    EXPECT_EQ(cache.complaints()[0].find('\n'), std::string::npos);  // told in one line
    EXPECT_EQ(cache.take_complaints(), cache.complaints());
    EXPECT_THAT(cache.take_complaints(), IsEmpty());
  }
  EmbeddingCache again(options());
  int lost = 0;
  for (int n = 0; n < 10; ++n) lost += again.find(key(n)) ? 0 : 1;
  EXPECT_EQ(lost, 1);
  EXPECT_THAT(again.complaints(), IsEmpty());
}

TEST_F(EmbeddingCacheTest, AShardThatIsCutWhileItIsReadIsNoCrash) {
  const fs::path shard = shard_of(0, 10);
  EmbeddingCache cache(options());
  for (int n = 0; n < 10; ++n) expect_found(cache, n);
  for (const std::uintmax_t size : {fs::file_size(shard) - 40, std::uintmax_t{5}}) {
    fs::path there = fs::exists(shard) ? shard : *shards().begin();
    fs::resize_file(there, std::min(size, fs::file_size(there)));
    int lost = 0;
    for (int n = 0; n < 10; ++n) {
      const auto found = cache.find(key(n));
      EXPECT_TRUE(!found || at::equal(*found, embedding(n))) << n;
      lost += found ? 0 : 1;
    }
    EXPECT_GE(lost, 1);
    for (int n = 0; n < 10; ++n) cache.put(key(n), embedding(n));
    cache.flush();
    for (int n = 0; n < 10; ++n) expect_found(cache, n);
  }
}

TEST_F(EmbeddingCacheTest, WhatKilledWritersLeftIsClearedAwayOnOpening) {
  shard_of(0, 3);
  write_file(directory_ / "aa.safetensors.tmp-abcdef", "half a sha");
  const EmbeddingCache cache(options());
  EXPECT_FALSE(fs::exists(directory_ / "aa.safetensors.tmp-abcdef"));
}

/// In a process that may not write there: root may anywhere.
template <class Work>
void as_nobody(Work work) {
  const pid_t pid = fork();
  if (pid == 0) {
    if (getuid() == 0 && setuid(65534) != 0) _exit(9);
    work();
    _exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(EmbeddingCacheTest, AReadOnlyCacheIsReadAndWhatItLacksStaysInMemory) {
  const fs::path shard = shard_of(0, 5);
  const fs::path damaged = shard_of(5, 8);
  std::fstream file(damaged, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-1, std::ios::end);
  file.put('\x5a');
  file.close();
  for (fs::path path = directory_; path != path.root_path(); path = path.parent_path()) {
    fs::permissions(path, fs::perms::others_read | fs::perms::others_exec, fs::perm_options::add);
  }
  fs::permissions(directory_, fs::perms::owner_write, fs::perm_options::remove);
  as_nobody([this] {
    EmbeddingCacheOptions small = options();
    small.shard_mb = 1e-4;
    EmbeddingCache cache(small);
    EXPECT_TRUE(cache.read_only());
    for (int n = 0; n < 5; ++n) expect_found(cache, n);
    EXPECT_THAT(cache.complaints(), IsEmpty());
    for (int n = 20; n < 30; ++n) cache.put(key(n), embedding(n));
    cache.flush();
    for (int n = 20; n < 30; ++n) expect_found(cache, n);
    ASSERT_THAT(cache.complaints(), SizeIs(1));
    EXPECT_THAT(cache.complaints()[0], HasSubstr("cannot be written to"));
    for (int n = 5; n < 8; ++n) cache.find(key(n));
    EXPECT_THAT(cache.complaints(), SizeIs(2));
    EXPECT_THAT(cache.complaints()[1], Not(HasSubstr("set aside")));
  });
  fs::permissions(directory_, fs::perms::owner_write, fs::perm_options::add);
  EXPECT_TRUE(fs::exists(damaged));
  EXPECT_THAT(shards(), SizeIs(2));
}

TEST_F(EmbeddingCacheTest, ADirectoryThatCannotBeWrittenIsAnError) {
  write_file(scratch_directory() / "file", "x");
  EmbeddingCacheOptions bad;
  bad.directory = (scratch_directory() / "file").string();
  EXPECT_THROW(EmbeddingCache{bad}, IoError);
}

}  // namespace
}  // namespace polyphony::data
