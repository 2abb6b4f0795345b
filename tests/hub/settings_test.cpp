#include <polyphony/hub/settings.h>

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/base/error.h>
#include <polyphony/hub/http.h>

namespace polyphony::hub {
namespace {

Settings read(std::map<std::string, std::string> variables) {
  variables.emplace("HOME", "/home/u");
  return read_settings([&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
}

TEST(HubSettings, TheCacheIsWhereTransformersLooks) {
  EXPECT_EQ(read({}).cache, "/home/u/.cache/huggingface/hub");
  EXPECT_EQ(read({{"XDG_CACHE_HOME", "/x"}}).cache, "/x/huggingface/hub");
  EXPECT_EQ(read({{"HF_HOME", "~/hf"}}).cache, "/home/u/hf/hub");
  EXPECT_EQ(read({{"HF_HOME", "/h"}, {"HUGGINGFACE_HUB_CACHE", "/c"}}).cache, "/c");
  EXPECT_EQ(read({{"HUGGINGFACE_HUB_CACHE", "/c"}, {"HF_HUB_CACHE", "/d"}}).cache, "/d");
  EXPECT_EQ(read({{"HF_HUB_CACHE", "/d"}, {"TRANSFORMERS_CACHE", "/t"}}).cache, "/t");
}

TEST(HubSettings, OfflineIsWhatHuggingFaceTakesForYes) {
  for (const char* yes : {"1", "on", "YES", "True"}) {
    EXPECT_TRUE(read({{"HF_HUB_OFFLINE", yes}}).offline) << yes;
    EXPECT_TRUE(read({{"TRANSFORMERS_OFFLINE", yes}}).offline) << yes;
  }
  EXPECT_FALSE(read({{"HF_HUB_OFFLINE", "0"}}).offline);
}

TEST(HubSettings, TheTokenIsTheVariableOrNone) {
  EXPECT_EQ(read({{"HF_TOKEN", " hf_a\n"}}).token, "hf_a");
  EXPECT_EQ(read({{"HUGGING_FACE_HUB_TOKEN", "hf_b"}}).token, "hf_b");
  EXPECT_EQ(read({{"HF_TOKEN", "hf_a"}, {"HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"}}).token, "");
}

TEST(HubSettings, TheEndpointIsAnAddress) {
  EXPECT_EQ(read({{"HF_ENDPOINT", "https://mirror/"}}).endpoint, "https://mirror");
  try {
    read({{"HF_ENDPOINT", "mirror"}});
    FAIL() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("HF_ENDPOINT=mirror: no http(s) address"));
  }
}

TEST(HubHttp, OriginsAreSchemeHostAndPort) {
  EXPECT_TRUE(same_origin("https://a/x", "https://A:443/y?z"));
  EXPECT_FALSE(same_origin("https://a/x", "http://a/x"));
  EXPECT_FALSE(same_origin("http://a:1/", "http://a:2/"));
  EXPECT_FALSE(same_origin("https://huggingface.co", "https://cdn.huggingface.co"));
  EXPECT_EQ(resolve_url("http://a/b/c", "/d?e=f"), "http://a/d?e=f");
  EXPECT_EQ(resolve_url("http://a/b/c", "https://x/y"), "https://x/y");
  EXPECT_EQ(escape_path("a b/ü.bin"), "a%20b/%C3%BC.bin");
}

}  // namespace
}  // namespace polyphony::hub
