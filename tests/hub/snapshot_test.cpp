#include <polyphony/hub/snapshot.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/rng.h>
#include <polyphony/hub/cache.h>

#include "hub/fake_hub.h"
#include "scratch.h"

namespace polyphony::hub {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kName = "acme/tiny-hubert";
const std::string kCommit(40, 'a');

/// Bytes that differ, so that a piece put in the wrong place shows.
std::string noise(std::size_t size) {
  std::string bytes(size, '\0');
  std::uint32_t state = 12345;
  for (char& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

class HubSnapshot : public testing::Test {
 protected:
  void SetUp() override {
    home_ = scratch_directory() / testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(home_);
    fs::create_directories(home_);
    FakeRepository repository;
    repository.files["config.json"] = {"{\"model_type\": \"hubert\"}"};
    repository.files["preprocessor_config.json"] = {"{}"};
    repository.files["pytorch_model.bin"] = {noise(50'000), true};
    repository.files["model.safetensors"] = {noise(200'000), true};
    repository.files["README.md"] = {"# tiny"};
    hub_.repositories[kName] = repository;
    variables_ = {{"HF_HOME", home_.string()}, {"HF_ENDPOINT", hub_.endpoint()}};
  }

  SnapshotOptions options() {
    SnapshotOptions options;
    options.environment = [this](const std::string& name) -> std::optional<std::string> {
      const auto found = variables_.find(name);
      return found == variables_.end() ? std::nullopt : std::optional(found->second);
    };
    options.transfer.progress = &progress_;
    options.transfer.sleep = [this](std::chrono::milliseconds pause) { slept_.push_back(pause); };
    return options;
  }

  fs::path fetch(const std::string& name = kName) { return snapshot(name, options()); }

  /// What the call complains of.
  std::string complaint(const std::string& name = kName, ExitCode code = ExitCode::kData) {
    return complaint(name, options(), code);
  }
  std::string complaint(const std::string& name, const SnapshotOptions& how, ExitCode code) {
    try {
      snapshot(name, how);
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), code) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "no error";
    return {};
  }

  const FakeFile& weights() { return hub_.repositories[kName].files["model.safetensors"]; }
  fs::path model_folder() const { return home_ / "hub" / "models--acme--tiny-hubert"; }
  long asked(const std::string& part) const {
    const auto seen = hub_.seen();
    return std::count_if(seen.begin(), seen.end(), [&](const Seen& request) {
      return request.path.find(part) != std::string::npos;
    });
  }

  fs::path home_;
  FakeHub hub_;
  std::map<std::string, std::string> variables_;
  std::ostringstream progress_;
  std::vector<std::chrono::milliseconds> slept_;
};

TEST_F(HubSnapshot, LaysTheCacheOutAsHuggingFaceDoes) {
  const fs::path folder = fetch();
  EXPECT_EQ(folder, model_folder() / "snapshots" / kCommit);
  EXPECT_EQ(read_file(model_folder() / "refs" / "main"), kCommit);
  EXPECT_EQ(read_file(folder / "model.safetensors"), weights().content);
  EXPECT_TRUE(fs::is_symlink(folder / "config.json"));
  const fs::path link = fs::read_symlink(folder / "model.safetensors");
  EXPECT_THAT(link.string(), testing::MatchesRegex("\\.\\./\\.\\./blobs/[0-9a-f]{64}"));
  EXPECT_THAT(progress_.str(), HasSubstr("model.safetensors (MB)"));
}

TEST_F(HubSnapshot, FetchesOnlyWhatIsWantedAndPicklesOnlyWithoutSafetensors) {
  fetch();
  EXPECT_EQ(asked("README.md"), 0);
  EXPECT_EQ(asked("pytorch_model.bin"), 0);
  hub_.repositories[kName].files.erase("model.safetensors");
  hub_.repositories[kName].commit = std::string(40, 'b');
  EXPECT_TRUE(fs::exists(fetch() / "pytorch_model.bin"));
}

TEST_F(HubSnapshot, ASecondCallFetchesNothingAndANewCommitOnlyWhatChanged) {
  fetch();
  hub_.forget();
  fetch();
  EXPECT_EQ(asked("/resolve/"), 0);
  hub_.repositories[kName].commit = std::string(40, 'b');
  hub_.repositories[kName].files["config.json"].content = "{\"v\": 2}";
  const fs::path folder = fetch();
  EXPECT_EQ(read_file(folder / "config.json"), "{\"v\": 2}");
  EXPECT_TRUE(hub_.seen_by_cdn().empty());
  EXPECT_EQ(read_file(folder / "model.safetensors"), weights().content);
}

TEST_F(HubSnapshot, ACommitInTheCacheAsksNobody) {
  fetch();
  hub_.forget();
  SnapshotOptions pinned = options();
  pinned.revision = kCommit;
  EXPECT_EQ(snapshot(kName, pinned), model_folder() / "snapshots" / kCommit);
  EXPECT_TRUE(hub_.seen().empty());
}

TEST_F(HubSnapshot, GoesOnWhereTheConnectionWasCut) {
  hub_.cuts = {60'000, 70'000};
  EXPECT_EQ(read_file(fetch() / "model.safetensors"), weights().content);
  std::vector<std::string> ranges;
  for (const Seen& request : hub_.seen_by_cdn()) ranges.push_back(request.range);
  EXPECT_THAT(ranges, testing::ElementsAre("", "bytes=60000-", "bytes=130000-"));
  EXPECT_EQ(slept_.size(), 2U);
}

TEST_F(HubSnapshot, ResumesWhatAnEarlierProcessLeft) {
  hub_.cuts.assign(20, 0);
  hub_.cuts[0] = 90'000;
  EXPECT_THAT(complaint(kName, ExitCode::kIo),
              AllOf(HasSubstr("model.safetensors: the download stops at 90000 bytes"),
                    HasSubstr("the same command goes on from there")));
  hub_.cuts.clear();
  hub_.forget();
  EXPECT_EQ(read_file(fetch() / "model.safetensors"), weights().content);
  ASSERT_EQ(hub_.seen_by_cdn().size(), 1U);
  EXPECT_EQ(hub_.seen_by_cdn()[0].range, "bytes=90000-");
}

TEST_F(HubSnapshot, BeginsAnewWhereTheServerKnowsNoRanges) {
  hub_.ranges = false;
  hub_.cuts = {60'000};
  EXPECT_EQ(read_file(fetch() / "model.safetensors"), weights().content);
}

TEST_F(HubSnapshot, ADamagedPartIsThrownAwayOnce) {
  hub_.cuts.assign(20, 0);
  hub_.cuts[0] = 90'000;
  complaint(kName, ExitCode::kIo);
  hub_.cuts.clear();
  for (const auto& entry : fs::directory_iterator(model_folder() / "blobs")) {
    if (entry.path().extension() != ".incomplete") continue;
    std::fstream(entry.path(), std::ios::in | std::ios::out | std::ios::binary) << "damage";
  }
  EXPECT_EQ(read_file(fetch() / "model.safetensors"), weights().content);
}

TEST_F(HubSnapshot, AWrongHashIsAnErrorAndLeavesNothing) {
  FakeFile& file = hub_.repositories[kName].files["model.safetensors"];
  file.served = file.content;
  file.served[77] ^= 1;
  EXPECT_THAT(complaint(), AllOf(HasSubstr("model.safetensors: wrong hash"),
                                 HasSubstr("the download is damaged")));
  EXPECT_FALSE(fs::exists(model_folder() / "snapshots" / kCommit / "model.safetensors"));
  for (const auto& entry : fs::directory_iterator(model_folder() / "blobs")) {
    EXPECT_LT(entry.file_size(), 1000U) << entry.path();
  }
}

TEST_F(HubSnapshot, AWrongSizeIsAnError) {
  FakeFile& file = hub_.repositories[kName].files["model.safetensors"];
  for (const std::size_t size : {100'000U, 300'000U}) {
    file.served = noise(size);
    EXPECT_THAT(complaint(), HasSubstr("wrong size: it has " + std::to_string(size) +
                                       " bytes, the hub says 200000"));
  }
}

TEST_F(HubSnapshot, TheTokenGoesToTheHubAndNowhereElse) {
  variables_["HF_TOKEN"] = "hf_sesame";
  hub_.repositories[kName].token = "hf_sesame";
  hub_.cuts = {60'000};
  fetch();
  for (const Seen& request : hub_.seen_by_cdn()) EXPECT_EQ(request.authorization, "");
  EXPECT_EQ(hub_.seen_by_cdn().size(), 2U);
  EXPECT_EQ(hub_.seen()[0].authorization, "Bearer hf_sesame");
}

TEST_F(HubSnapshot, TheTokenIsReadFromItsFile) {
  hub_.repositories[kName].token = "hf_file";
  write_file(home_ / "token", std::string_view("hf_file\n"));
  fetch();
  EXPECT_EQ(hub_.seen()[0].authorization, "Bearer hf_file");
}

TEST_F(HubSnapshot, AGatedModelSaysHowToGetAToken) {
  hub_.repositories[kName].token = "hf_sesame";
  EXPECT_THAT(complaint(),
              AllOf(HasSubstr("the hub wants a token"), HasSubstr(hub_.endpoint() + "/" + kName),
                    HasSubstr("/settings/tokens"), HasSubstr((home_ / "token").string())));
  variables_["HF_TOKEN"] = "hf_of_another";
  EXPECT_THAT(complaint(), AllOf(HasSubstr("has no access"), Not(HasSubstr("hf_of_another"))));
  EXPECT_THAT(progress_.str(), Not(HasSubstr("hf_of_another")));
}

TEST_F(HubSnapshot, AnUnknownModelNamesTheNearestInTheCache) {
  fetch();
  EXPECT_THAT(complaint("acme/tiny-huber"), AllOf(HasSubstr("acme/tiny-huber: no such model"),
                                                  HasSubstr("the cache has acme/tiny-hubert")));
  EXPECT_THAT(complaint("tiny-hubert"), HasSubstr("the cache has acme/tiny-hubert"));
}

TEST_F(HubSnapshot, AnUnknownRevisionIsNamed) {
  SnapshotOptions wrong = options();
  wrong.revision = "v9/x";
  EXPECT_THAT(complaint(kName, wrong, ExitCode::kData), HasSubstr("no revision 'v9/x'"));
  wrong.revision = "../../etc";
  EXPECT_THAT(complaint(kName, wrong, ExitCode::kConfig), HasSubstr("no branch, tag or commit"));
}

TEST_F(HubSnapshot, OfflineUsesTheCacheOrSaysWhatIsMissing) {
  variables_["HF_HUB_OFFLINE"] = "1";
  EXPECT_THAT(complaint(), AllOf(HasSubstr("offline"), HasSubstr("config.json"),
                                 HasSubstr("model.safetensors or"),
                                 HasSubstr("polyphony hub fetch acme/tiny-hubert")));
  EXPECT_TRUE(hub_.seen().empty());
  variables_.erase("HF_HUB_OFFLINE");
  const fs::path folder = fetch();
  variables_["TRANSFORMERS_OFFLINE"] = "yes";
  hub_.forget();
  EXPECT_EQ(fetch(), folder);
  EXPECT_TRUE(hub_.seen().empty());
  fs::remove(fs::canonical(folder / "model.safetensors"));
  EXPECT_THAT(complaint(), HasSubstr("model.safetensors or"));
}

TEST_F(HubSnapshot, WithoutANetworkTheCacheAnswersAndSaysSo) {
  const fs::path folder = fetch();
  hub_.stop();
  EXPECT_EQ(fetch(), folder);
  EXPECT_THAT(progress_.str(), HasSubstr("using the copy in the cache"));
  EXPECT_THAT(complaint("acme/other", ExitCode::kIo), HasSubstr("HF_ENDPOINT"));
}

TEST_F(HubSnapshot, AnOverloadedHubIsAskedAgain) {
  hub_.overloaded = 2;
  EXPECT_TRUE(fs::exists(fetch() / "config.json"));
  EXPECT_EQ(slept_,
            (std::vector{std::chrono::milliseconds(1000), std::chrono::milliseconds(2000)}));
}

TEST_F(HubSnapshot, ARenamedModelIsFollowed) {
  hub_.repositories["tiny"].redirected_to = kName;
  hub_.repositories["tiny"].commit = kCommit;
  const fs::path folder = fetch("tiny");
  EXPECT_EQ(folder, home_ / "hub" / "models--tiny" / "snapshots" / kCommit);
  EXPECT_EQ(read_file(folder / "model.safetensors"), weights().content);
}

TEST_F(HubSnapshot, AMirrorWithoutListingIsAskedFileByFile) {
  hub_.listing = false;
  const fs::path folder = fetch();
  EXPECT_EQ(read_file(folder / "model.safetensors"), weights().content);
  EXPECT_TRUE(fs::exists(folder / "preprocessor_config.json"));
  EXPECT_FALSE(fs::exists(folder / "pytorch_model.bin"));
}

TEST_F(HubSnapshot, ShardsThatTheIndexNamesAreFetched) {
  auto& files = hub_.repositories[kName].files;
  files.erase("model.safetensors");
  files["model.safetensors.index.json"] = {
      R"({"weight_map": {"a": "model-00001-of-00002.safetensors",
                         "b": "model-00002-of-00002.safetensors"}})"};
  files["model-00001-of-00002.safetensors"] = {noise(3000), true};
  files["model-00002-of-00002.safetensors"] = {noise(4000), true};
  for (const bool listing : {true, false}) {
    hub_.listing = listing;
    fs::remove_all(home_ / "hub");
    const fs::path folder = fetch();
    EXPECT_EQ(read_file(folder / "model-00002-of-00002.safetensors"), noise(4000));
    EXPECT_TRUE(fs::exists(folder / "model-00001-of-00002.safetensors"));
  }
}

TEST_F(HubSnapshot, AModelOfAnotherFrameworkIsRefusedByWhatItHas) {
  auto& files = hub_.repositories[kName].files;
  files.erase("model.safetensors");
  files.erase("pytorch_model.bin");
  files["tf_model.h5"] = {"x"};
  EXPECT_THAT(complaint(), AllOf(HasSubstr("has no model.safetensors"), HasSubstr("tf_model.h5")));
}

TEST_F(HubSnapshot, PathsOutsideOfTheFolderAreRefused) {
  hub_.repositories[kName].files["../../evil.json"] = {"x"};
  SnapshotOptions all = options();
  all.wanted = {{"*"}, {}};
  EXPECT_THAT(complaint(kName, all, ExitCode::kData), HasSubstr("outside of its folder"));
}

TEST_F(HubSnapshot, TwoAtOnceDownloadOnce) {
  std::vector<std::thread> threads;
  std::vector<std::string> read(3);
  for (std::string& content : read) {
    threads.emplace_back([this, &content] {
      SnapshotOptions quiet = options();
      quiet.transfer.progress = nullptr;
      content = read_file(snapshot(kName, quiet) / "model.safetensors");
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& content : read) EXPECT_EQ(content, weights().content);
  EXPECT_EQ(hub_.seen_by_cdn().size(), 1U);
}

TEST_F(HubSnapshot, AFolderIsReturnedAsItIsAndNothingElseThatIsNoName) {
  EXPECT_EQ(fetch(home_.string()), home_);
  EXPECT_TRUE(hub_.seen().empty());
  write_file(home_ / "file", std::string_view("x"));
  EXPECT_THAT(complaint((home_ / "file").string(), ExitCode::kConfig), HasSubstr("a file"));
  for (const char* wrong : {"", "./nowhere", "/nowhere/model", "a/b/c", "a--b", "ü"}) {
    EXPECT_THAT(complaint(wrong, ExitCode::kConfig), HasSubstr("neither a folder"));
  }
}

TEST_F(HubSnapshot, TheCacheIsListed) {
  fetch();
  const auto models = cached_models(home_ / "hub");
  ASSERT_EQ(models.size(), 1U);
  EXPECT_EQ(models[0].name, kName);
  EXPECT_GT(models[0].bytes, 200'000U);
  ASSERT_EQ(models[0].revisions.size(), 1U);
  EXPECT_EQ(models[0].revisions[0].refs, std::vector<std::string>{"main"});
  EXPECT_EQ(models[0].revisions[0].files, 3U);
  EXPECT_TRUE(cached_models(home_ / "nowhere").empty());
}

}  // namespace
}  // namespace polyphony::hub
