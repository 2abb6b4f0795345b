// The dashboard's server, asked over HTTP as the page asks it.
#include <polyphony/board/server.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <nlohmann/json.hpp>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/record/host.h>
#include <polyphony/record/store.h>
#include "scratch.h"

namespace polyphony::board {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class ServerTest : public testing::Test {
 protected:
  ServerTest() : folder_(fresh()), store_(folder_ / "runs.db") {
    for (const double lr : {0.001, 0.01, 0.001}) add_run(lr);
    start({});
  }
  static fs::path fresh() {
    const fs::path folder = scratch_directory() / "board";
    fs::remove_all(folder);
    fs::create_directories(folder);
    return folder;
  }
  void start(ServerOptions options) {
    server_.reset();
    options.store = folder_ / "runs.db";
    options.port = 0;
    options.interval = std::chrono::milliseconds(10);
    server_ = std::make_unique<Server>(options);
    server_->start();
  }
  std::int64_t add_run(double lr) {
    record::RunInfo info;
    info.name = "run <b>";
    info.host = record::host_name();
    info.pid = record::process_id();
    info.directory = folder_ / "run";
    info.config_yaml =
        "optimizer: {lr: " + std::to_string(lr) +
        "}\nsplit: {test: test}\ndataset: {manifest: " + (folder_ / "manifest.csv").string() +
        ", classes: [left, right]}\n";
    const std::int64_t id = store_.begin(info);
    std::vector<record::Metric> values;
    for (int step = 0; step < 100; ++step) {
      values.push_back({"loss", step, step / 10, record::now() + step, 100 * lr + step});
    }
    store_.log(id, values);
    return id;
  }
  void write_predictions() const {
    write_file(folder_ / "a.wav", std::string("RIFF....WAVEfmt 0123456789"));
    write_file(folder_ / "secret.txt", "secret");
    write_file(folder_ / "listed.txt", "listed, but no recording");
    write_file(folder_ / "manifest.csv",
               "audio_path,text,label\na.wav,<i>hello</i>,right\nlisted.txt,two,0\n");
    write_file(folder_ / "run/predictions/test.csv",
               "audio_path,text,label,prediction\n"
               "a.wav,<i>hello</i>,right,left\nlisted.txt,two,0,left\nsecret.txt,three,left,right\n"
               "../../../../etc/passwd,four,1,right\n");
  }
  httplib::Client client() const {
    httplib::Client client("127.0.0.1", server_->port());
    client.set_read_timeout(60);
    return client;
  }
  json get(const std::string& path, int status = 200) const {
    const auto answer = client().Get(path);
    if (!answer) return {{"error", "no answer"}};
    EXPECT_EQ(answer->status, status) << path << ": " << answer->body;
    return json::parse(answer->body);
  }

  fs::path folder_;
  record::Store store_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, ServesThePageUnderAStrictPolicy) {
  const auto page = client().Get("/");
  ASSERT_TRUE(page);
  EXPECT_EQ(page->status, 200);
  EXPECT_THAT(page->body, HasSubstr("<!doctype html>"));
  const std::string policy = page->get_header_value("Content-Security-Policy");
  EXPECT_THAT(policy, HasSubstr("default-src 'none'"));
  EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
  EXPECT_EQ(page->get_header_value("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(client().Get("/d3.min.js")->status, 200);
  EXPECT_EQ(client().Get("/nothing")->status, 404);
}

TEST_F(ServerTest, TheTableFiltersSortsPagesAndGroups) {
  const json table =
      get("/api/table?where=loss%20%3E%2099&sort=loss:desc&column=id&column=loss&limit=1");
  EXPECT_EQ(table["total"], 3);
  EXPECT_EQ(table["matching"], 3);
  ASSERT_EQ(table["rows"].size(), 1U);
  EXPECT_EQ(table["rows"][0]["cells"], json({2, 100.0}));
  const json groups = get("/api/table?group=optimizer.lr&column=loss&sort=id:asc&open=0.01");
  ASSERT_EQ(groups["rows"].size(), 3U);  // two heads and the one run of the open group
  EXPECT_EQ(groups["rows"][0]["runs"], 2);
  EXPECT_NEAR(groups["rows"][0]["cells"][0]["mean"].get<double>(), 99.1, 1e-9);
  EXPECT_EQ(groups["rows"][2]["id"], 2);
  EXPECT_EQ(get("/api/ids?sort=id:asc&limit=2")["ids"], json({1, 2}));
}

TEST_F(ServerTest, AnUnusableQuestionIsRefusedWithAReason) {
  EXPECT_THAT(get("/api/table?where=loss%20%3E", 400)["error"].get<std::string>(),
              HasSubstr("expected a value"));
  EXPECT_THAT(get("/api/table?where=lss%20%3E%201", 400)["remedy"].get<std::string>(),
              HasSubstr("did you mean `loss`"));
  EXPECT_THAT(get("/api/curves?ids=1,x", 400)["error"].get<std::string>(), HasSubstr("integer"));
  EXPECT_THAT(get("/api/curves?ids=1&x=wall", 400)["error"].get<std::string>(), HasSubstr("step"));
  EXPECT_THAT(get("/api/curves?ids=1&smooth=1", 400)["error"].get<std::string>(),
              HasSubstr("smooth"));
  get("/api/run?id=99", 400);
  get("/api/run", 400);
  get("/api/nothing", 404);
}

TEST_F(ServerTest, CurvesComeByStepEpochAndTimeWholeOrInBuckets) {
  const json curves = get("/api/curves?ids=1,2,77&metric=loss");
  ASSERT_EQ(curves["curves"].size(), 2U);
  EXPECT_EQ(curves["curves"][0]["x"].size(), 100U);
  EXPECT_NEAR(curves["curves"][1]["y"][5].get<double>(), 6, 1e-6);
  EXPECT_EQ(get("/api/curves?ids=1&metric=loss&buckets=5")["curves"][0]["x"].size(), 10U);
  EXPECT_EQ(get("/api/curves?ids=1&metric=loss&x=epoch")["curves"][0]["x"][99], 9);
  const json smooth = get("/api/curves?ids=1&metric=loss&smooth=0.9")["curves"][0];
  EXPECT_LT(smooth["y"][99].get<double>(), smooth["raw"]["y"][99].get<double>());
  const json bands = get("/api/curves?ids=1,2,3&metric=loss&bands=1&group=optimizer.lr");
  ASSERT_EQ(bands["bands"].size(), 2U);
  EXPECT_EQ(bands["bands"][0]["runs"], json({1, 3}));
}

TEST_F(ServerTest, BinaryCurvesHoldWhatTheJsonHolds) {
  const auto answer = client().Get("/api/curves?ids=2&metric=loss&format=binary");
  ASSERT_TRUE(answer);
  std::uint32_t size = 0;
  std::memcpy(&size, answer->body.data(), 4);
  const json head = json::parse(answer->body.substr(4, size));
  const std::size_t begin = (4 + size + 3) / 4 * 4;
  ASSERT_EQ(head["curves"][0]["size"], 100);
  ASSERT_EQ(answer->body.size(), begin + 200 * sizeof(float));
  std::vector<float> values(200);
  std::memcpy(values.data(), answer->body.data() + begin, 200 * sizeof(float));
  EXPECT_EQ(values[7], 7);
  EXPECT_EQ(values[107], 8);
}

TEST_F(ServerTest, ARunTellsItsDetailsAndComparesWithOthers) {
  const json run = get("/api/run?id=2");
  EXPECT_EQ(run["name"], "run <b>");
  EXPECT_THAT(run["config_yaml"].get<std::string>(), HasSubstr("lr: 0.01"));
  EXPECT_EQ(run["summaries"][0]["count"], 100);
  const json compared = get("/api/compare?ids=1,2");
  ASSERT_EQ(compared["config"].size(), 1U);
  EXPECT_EQ(compared["config"][0]["name"], "optimizer.lr");
}

TEST_F(ServerTest, PredictionsBecomeAConfusionMatrixAndMistakes) {
  write_predictions();
  EXPECT_EQ(get("/api/run?id=1")["prediction_sets"], json({"test"}));
  const json matrix = get("/api/confusion?id=1&set=test");
  EXPECT_EQ(matrix["counts"], json({{1, 1}, {1, 1}}));
  EXPECT_EQ(matrix["accuracy"], 0.5);
  const json wrong = get("/api/items?id=1&set=test");
  ASSERT_EQ(wrong["items"].size(), 2U);
  EXPECT_EQ(wrong["items"][0]["text"], "<i>hello</i>");
  EXPECT_EQ(get("/api/items?id=1&set=test&label=1&prediction=0")["matching"], 1);
  EXPECT_EQ(get("/api/items?id=1&set=test&all=1")["matching"], 4);
  get("/api/confusion?id=1&set=other", 400);
  get("/api/confusion?id=1&set=../../x", 400);
}

TEST_F(ServerTest, FiguresAreWhatTheRunDrew) {
  record::Artifact roc;
  roc.kind = "roc";
  roc.name = "roc/test";
  roc.data = R"({"stage": "test", "curves": [{"class": "left", "auc": 0.5}]})";
  store_.add_artifact(1, roc);
  roc.name = "damaged";
  roc.data = "{";
  store_.add_artifact(1, roc);
  const json figures = get("/api/figures?id=1")["figures"];
  ASSERT_EQ(figures.size(), 1U);
  EXPECT_EQ(figures[0]["kind"], "roc");
  EXPECT_EQ(figures[0]["data"]["curves"][0]["auc"], 0.5);
}

TEST_F(ServerTest, PlaysTheManifestsRecordingsAndNothingElse) {
  write_predictions();
  const auto whole = client().Get("/audio?id=1&set=test&row=0");
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->status, 200);
  EXPECT_EQ(whole->get_header_value("Content-Type"), "audio/wav");
  EXPECT_EQ(whole->body.size(), 26U);
  const auto part = client().Get("/audio?id=1&set=test&row=0", {{"Range", "bytes=8-11"}});
  ASSERT_TRUE(part);
  EXPECT_EQ(part->status, 206);
  EXPECT_EQ(part->body, "WAVE");
  EXPECT_EQ(part->get_header_value("Content-Range"), "bytes 8-11/26");
  EXPECT_THAT(get("/audio?id=1&set=test&row=1", 404)["error"].get<std::string>(),
              HasSubstr("no recording that can be played"));  // named, but a text
  EXPECT_THAT(get("/audio?id=1&set=test&row=2", 404)["error"].get<std::string>(),
              HasSubstr("names no such recording"));
  EXPECT_THAT(get("/audio?id=1&set=test&row=3", 404)["error"].get<std::string>(),
              HasSubstr("names no such recording"));
  get("/audio?id=1&set=test&row=4", 400);
  get("/audio?id=1&set=test&row=-1", 400);
  for (const char* path : {"/../manifest.csv", "/%2e%2e/manifest.csv", "/audio/../../etc/passwd"}) {
    const auto refused = client().Get(path);
    ASSERT_TRUE(refused);
    EXPECT_GE(refused->status, 400) << path;
  }
}

TEST_F(ServerTest, RefusesAHostThatIsNotThisMachine) {
  const auto refused = client().Get("/api/fields", {{"Host", "evil.example"}});
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 403);
  EXPECT_EQ(client().Get("/api/fields", {{"Host", "localhost:1"}})->status, 200);
}

TEST_F(ServerTest, WithATokenNothingIsServedWithoutIt) {
  ServerOptions options;
  options.token = "s3cret";
  start(options);
  for (const char* path : {"/", "/api/fields", "/d3.min.js", "/audio?id=1&set=test&row=0",
                           "/events", "/?token=wrong", "/?token="}) {
    EXPECT_EQ(client().Get(path)->status, 401) << path;
  }
  EXPECT_EQ(client().Get("/api/fields", {{"Cookie", "polyphony_board=s3cre"}})->status, 401);
  EXPECT_EQ(client().Get("/api/fields", {{"Authorization", "Bearer s3cret"}})->status, 200);
  const auto entered = client().Get("/?token=s3cret");
  EXPECT_EQ(entered->status, 303);
  EXPECT_THAT(entered->get_header_value("Set-Cookie"), HasSubstr("HttpOnly; SameSite=Strict"));
  EXPECT_EQ(client().Get("/api/fields", {{"Cookie", "a=b; polyphony_board=s3cret"}})->status, 200);
}

TEST_F(ServerTest, AnotherAddressNeedsAToken) {
  ServerOptions options;
  options.store = folder_ / "runs.db";
  options.address = "0.0.0.0";
  EXPECT_THROW(Server{options}, UsageError);
}

TEST_F(ServerTest, APortThatIsTakenIsRefused) {
  ServerOptions options;
  options.store = folder_ / "runs.db";
  options.port = server_->port();
  try {
    const Server second(options);
    FAIL() << "two servers on one port";
  } catch (const IoError& error) {
    EXPECT_THAT(std::string(error.what()) + error.remedy(), HasSubstr("--port"));
  }
}

TEST_F(ServerTest, WritesOnlyWhatItWasAskedForAndNeverChangesTheStore) {
  for (const char* method : {"POST", "PUT", "DELETE"}) {
    httplib::Request request;
    request.method = method;
    request.path = "/api/table";
    const auto answer = client().send(request);
    ASSERT_TRUE(answer);
    EXPECT_GE(answer->status, 400) << method;
  }
}

TEST_F(ServerTest, TellsListenersWhatChangesWhileItChanges) {
  std::string heard;
  bool logged = false;
  const auto listen = [&](const char* data, std::size_t size) {
    heard.append(data, size);
    if (!logged) {
      const std::vector<record::Metric> more = {{"loss", 100, 10, record::now(), 7.0}};
      store_.log(3, more);
      logged = true;
    }
    return heard.find("event: change") == std::string::npos;  // then hang up
  };
  client().Get("/events", listen);
  EXPECT_THAT(heard, HasSubstr("event: hello"));
  EXPECT_THAT(heard, HasSubstr("\"runs\":[3]"));
  EXPECT_EQ(get("/api/curves?ids=3&metric=loss")["curves"][0]["points"], 101);
}

TEST_F(ServerTest, AListenerThatWasAwayHearsWhatItMissed) {
  const auto table_has = [&](int runs) {
    for (int i = 0; i < 1000 && get("/api/table")["total"] != runs; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  };
  add_run(0.5);
  table_has(4);
  std::string heard;
  client().Get("/events", {{"Last-Event-ID", "0"}}, [&](const char* data, std::size_t size) {
    heard.append(data, size);
    return heard.find("event: change") == std::string::npos;
  });
  EXPECT_THAT(heard, HasSubstr("4"));
}

TEST_F(ServerTest, ManyAskAtOnce) {
  std::vector<std::thread> askers;
  std::atomic<int> good{0};
  for (int i = 0; i < 8; ++i) {
    askers.emplace_back([&, i] {
      for (int round = 0; round < 10; ++round) {
        const char* paths[] = {"/api/table", "/api/curves?ids=1,2,3&metric=loss", "/api/run?id=1"};
        const auto answer = client().Get(paths[(i + round) % 3]);
        good += answer && answer->status == 200 ? 1 : 0;
      }
    });
  }
  for (std::thread& asker : askers) asker.join();
  EXPECT_EQ(good, 80);
}

TEST_F(ServerTest, NumbersThatJsonHasNoFormForAreTexts) {
  const std::vector<record::Metric> odd = {{"loss", 100, 10, record::now(), std::nan("")},
                                           {"inf", 1, 0, record::now(), INFINITY}};
  store_.log(1, odd);
  for (int i = 0; i < 1000 && !get("/api/fields")["metrics"].is_null() &&
                  get("/api/fields")["metrics"].size() < 2;
       ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const json table = get("/api/table?column=loss&column=inf&where=id%20%3D%201");
  EXPECT_EQ(table["rows"][0]["cells"], json({"nan", "inf"}));
  EXPECT_TRUE(get("/api/curves?ids=1&metric=loss")["curves"][0]["y"][100].is_null());
}

}  // namespace
}  // namespace polyphony::board
